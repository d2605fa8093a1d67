# The identity of the program: a digest of every source file that can end in a weight. Ranks agree
# on it before the first step, so that a job never mixes two programs. CONVOY_BUILD_IDENTITY sets
# it by hand (a test uses that to make "another build").
set(CONVOY_BUILD_IDENTITY "" CACHE STRING "Identity of the build (empty: digest of the sources)")
set(CONVOY_GENERATED ${CMAKE_BINARY_DIR}/generated)
add_custom_target(build_identity
    COMMAND ${CMAKE_COMMAND} -D SOURCE=${CMAKE_SOURCE_DIR} -D OUT=${CONVOY_GENERATED}/build_identity.h
        -D IDENTITY=${CONVOY_BUILD_IDENTITY} -P ${CMAKE_SOURCE_DIR}/cmake/write_build_identity.cmake
    BYPRODUCTS ${CONVOY_GENERATED}/build_identity.h
    COMMENT "Digest of the sources" VERBATIM)
