#include "base/cpu.h"
#include "base/shared_memory.h"
#include "io/file_system.h"
#include "trainer/commands/command.h"
#include "trainer/job.h"
#include "trainer/version.h"

#include <cblas.h>
#include <inttypes.h>
#include <jansson.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct doctor_options {
    bool json;
};

static const struct option options_table[] = {
    {"json", OPTION_SWITCH, offsetof(struct doctor_options, json), .help = "as one JSON object"},
    OPTIONS_END};

/* What each rank tells rank 0: plain bytes. */
struct rank_report {
    char host[64], cpu[64], isa[32], blas[32];
    int rank, host_ranks, host_cores, cores;
};

static void copy(char *text, size_t size, const char *from) {
    snprintf(text, size, "%s", from != NULL ? from : "?");
}

static void fill_report(struct rank_report *report, const struct job *job) {
    *report = (struct rank_report){.rank = job->rank,

        .host_ranks = job->host_ranks,
        .host_cores = job->host_cores,
        .cores = job->cores};
    copy(report->host, sizeof report->host, job->transport->host);
    copy(report->cpu, sizeof report->cpu, cpu_model());
    copy(report->blas, sizeof report->blas, openblas_get_corename());
    enum cpu_isa isa;
    bool chosen = cpu_isa_choose(&isa) == STATUS_OK;
    copy(report->isa, sizeof report->isa, chosen ? cpu_isa_name(isa) : "none");
}

static json_t *ranks_json(const struct rank_report *reports, int ranks) {
    json_t *list = json_array();
    for (int r = 0; r < ranks; r++) {
        const struct rank_report *report = &reports[r];
        json_array_append_new(
            list, json_pack("{s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:i}", "rank", r, "host",
                      report->host, "processor", report->cpu, "kernels", report->isa,
                      "openblas_kernel", report->blas, "cores", report->cores, "ranks_on_host",
                      report->host_ranks, "cores_on_host", report->host_cores));
    }
    return list;
}

static json_t *instruction_sets(void) {
    json_t *list = json_array();
    CPU_FOR_EACH_ISA (isa) {
        json_array_append_new(list, json_string(cpu_isa_name(isa)));
    }
    return list;
}

/* The first line of a small file of the system, or "unknown". */
static void read_line(char *text, size_t size, const char *path) {
    copy(text, size, "unknown");
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return;
    }
    if (fgets(text, (int)size, file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
    }
    fclose(file);
}

static json_t *huge_pages(void) {
    char text[128];
    read_line(text, sizeof text, "/sys/kernel/mm/transparent_hugepage/enabled");
    char *chosen = strchr(text, '['), *end = strchr(text, ']');
    if (chosen != NULL && end != NULL) {
        *end = '\0';
        return json_string(chosen + 1);
    }
    return json_string(text);
}

static json_t *bytes_free(const char *path) {
    struct statvfs about;
    if (statvfs(path, &about) != 0) {
        return json_pack("{s:s}", "path", path);
    }
    return json_pack("{s:s, s:I, s:I}", "path", path, "bytes",
        (json_int_t)about.f_blocks * (json_int_t)about.f_frsize, "free",
        (json_int_t)about.f_bavail * (json_int_t)about.f_frsize);
}

static status data_json(json_t **object, const char *path) {
    struct file_system system;
    TRY(file_system_find(&system, path));
    *object = bytes_free(path);
    json_object_set_new(*object, "file_system", json_string(system.name));
    return STATUS_OK;
}

static json_t *machine_json(const struct rank_report *reports, int ranks) {
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(mpi, &length);
    mpi[strcspn(mpi, "\n,")] = '\0';
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:b, s:I, s:o, s:s}", "convoy",
        version_number(), "build", version_identity(), "mpi", mpi, "ranks", ranks, "rank",
        ranks_json(reports, ranks), "instruction_sets", instruction_sets(), "huge_pages",
        huge_pages(), "shared_huge_pages", shared_memory_takes_huge_pages(), "memory",
        (json_int_t)memory, "shared_memory", bytes_free("/dev/shm"), "openblas",
        openblas_get_config());
}

static void print_space(const char *what, const json_t *space) {
    const double gib = 1024.0 * 1024 * 1024;
    const char *path = json_string_value(json_object_get(space, "path"));
    if (json_object_get(space, "bytes") == NULL) {
        printf("%-18s %s: not there\n", what, path);
        return;
    }
    const char *system = json_string_value(json_object_get(space, "file_system"));
    printf("%-18s %s: %.2f GiB, %.2f free%s%s\n", what, path,
        (double)json_integer_value(json_object_get(space, "bytes")) / gib,
        (double)json_integer_value(json_object_get(space, "free")) / gib,
        system != NULL ? ", on " : "", system != NULL ? system : "");
}

static void print_text(const json_t *machine, const struct rank_report *reports, int ranks) {
    printf("%-18s %s (%s)\n", "convoy", version_number(), version_identity());
    printf("%-18s %s\n", "MPI", json_string_value(json_object_get(machine, "mpi")));
    printf("%-18s %s\n", "OpenBLAS", openblas_get_config());
    printf("%-18s", "instruction sets");
    const json_t *sets = json_object_get(machine, "instruction_sets");
    for (size_t i = 0; i < json_array_size(sets); i++) {
        printf(" %s", json_string_value(json_array_get(sets, i)));
    }
    bool shared = json_is_true(json_object_get(machine, "shared_huge_pages"));
    printf("\n%-18s %s (transparent); %s\n", "huge pages",
        json_string_value(json_object_get(machine, "huge_pages")),
        shared ? "shared memory too"
               : "shared memory has none: root may write `advise` to "
                 "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    printf("%-18s %.1f GiB\n", "memory",
        (double)json_integer_value(json_object_get(machine, "memory")) / (1024.0 * 1024 * 1024));
    print_space("shared memory", json_object_get(machine, "shared_memory"));
    if (json_object_get(machine, "data") != NULL) {
        print_space("data", json_object_get(machine, "data"));
    }
    for (int r = 0; r < ranks; r++) {
        printf("rank %-13d %s: %s, %d of its host's %d cores (%d ranks there), kernels %s, "
               "OpenBLAS %s\n",
            reports[r].rank, reports[r].host, reports[r].cpu, reports[r].cores,
            reports[r].host_cores, reports[r].host_ranks, reports[r].isa, reports[r].blas);
    }
}

static status examine(const struct job *job, const struct command_line *line) {
    const struct doctor_options *options = line->options;
    struct rank_report mine, *reports;
    fill_report(&mine, job);
    TRY(MEMORY_ALLOCATE(&reports, (size_t)job->ranks));
    job_gather(job, reports, &mine, sizeof mine);
    status result = STATUS_OK;
    if (job->rank == 0) {
        json_t *machine = machine_json(reports, job->ranks), *data = NULL;
        if (line->count > 0) {
            result = data_json(&data, line->arguments[0]);
        }
        if (data != NULL) {
            json_object_set_new(machine, "data", data);
        }
        if (result == STATUS_OK && options->json) {
            json_dumpf(machine, stdout, JSON_INDENT(2));
            putchar('\n');
        } else if (result == STATUS_OK) {
            print_text(machine, reports, job->ranks);
        }
        json_decref(machine);
    }
    free(reports);
    return job_agree(job, result);
}

static status run(int *code, const struct command_line *line) {
    (void)code;
    struct job job;
    status result = job_init(&job);
    if (result == STATUS_OK) {
        result = examine(&job, line);
    }
    job_release(&job, result);
    return result;
}

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "[FOLDER]",
    .help = "show what this machine offers: MPI, cores, kernels, memory, file system of FOLDER",
    .description = "Under mpirun it shows every rank: host, cores it is bound to, kernels.",
    .most = 1,
    .options = options_table,
    .options_size = sizeof(struct doctor_options),
    .all_ranks = true,
    .run = run,
};
