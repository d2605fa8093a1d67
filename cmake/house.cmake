# How a folder becomes a library.
#
# convoy_library(NAME [USES folder ...] [LINKS target ...]) makes the static library of the folder
# that calls it, from every .c file below it. A folder is included as "folder/file.h", and that
# path exists only for those who link the folder: each library hands on an include directory that
# holds nothing but itself, so that an include against the direction of the house fails to build.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Contraction stays off everywhere: a fused multiply-add is written where it is meant, or the bits
# would depend on the compiler's mood.
add_library(convoy_flags INTERFACE)
target_compile_definitions(convoy_flags INTERFACE _GNU_SOURCE)
target_compile_options(convoy_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
    -ffp-contract=off -fno-math-errno -fno-trapping-math -fvisibility=hidden
    -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/= # __FILE__ in a trace: the same in every checkout
    $<$<BOOL:${CONVOY_WERROR}>:-Werror>)
if(CONVOY_SANITIZE)
    # gcc warns of what its own instrumentation made look uninitialised.
    target_compile_options(convoy_flags INTERFACE -fsanitize=${CONVOY_SANITIZE}
        -fno-omit-frame-pointer -fno-sanitize-recover=all
        $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(convoy_flags INTERFACE -fsanitize=${CONVOY_SANITIZE})
endif()

function(convoy_library NAME)
    cmake_parse_arguments(ARG "" "" "USES;LINKS" ${ARGN})
    file(GLOB_RECURSE SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    list(FILTER SOURCES EXCLUDE REGEX "/main\\.c$")
    add_library(${NAME} STATIC ${SOURCES})
    set(INCLUDES ${CMAKE_BINARY_DIR}/include/${NAME})
    file(MAKE_DIRECTORY ${INCLUDES})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${INCLUDES}/${NAME} SYMBOLIC)
    target_include_directories(${NAME} PUBLIC ${INCLUDES})
    target_link_libraries(${NAME} PUBLIC ${ARG_USES} PRIVATE convoy_flags ${ARG_LINKS})
endfunction()
