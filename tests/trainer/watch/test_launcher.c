/* A process that stands for mpirun, and one that stands for a rank at its last moment. */
#include "support/support.h"
#include "trainer/watch/launcher.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct launched {
    pid_t launcher;
    int output; /* of the rank: ends when nobody holds it any more */
};

/* A launcher by that name, whose rank asks for its end after `seconds` and leaves. Told to, the
 * launcher ends by itself once the rank has. */
static struct launched launch(const char *name, int seconds, bool ends) {
    int output[2];
    CU_ASSERT_EQUAL_FATAL(pipe(output), 0);
    pid_t launcher = fork();
    if (launcher == 0) {
        prctl(PR_SET_NAME, name);
        if (fork() == 0) {
            dup2(output[1], STDOUT_FILENO);
            close(output[0]);
            close(output[1]);
            launcher_end_after(seconds);
            _exit(0);
        }
        close(output[0]);
        close(output[1]);
        while (wait(NULL) < 0 || !ends) {
            pause();
        }
        _exit(0);
    }
    close(output[1]);
    return (struct launched){launcher, output[0]};
}

/* Waits up to `seconds`; whether it has ended, and how. */
static bool has_ended(int *how, const struct launched *launched, int seconds) {
    for (int i = 0; i < 100 * seconds; i++) {
        if (waitpid(launched->launcher, how, WNOHANG) == launched->launcher) {
            return true;
        }
        usleep(10000);
    }
    return false;
}

static bool output_ends(const struct launched *launched, int seconds) {
    struct pollfd end = {.fd = launched->output};
    return poll(&end, 1, seconds * 1000) == 1 && (end.revents & POLLHUP);
}

static void clean(const struct launched *launched, bool lives) {
    close(launched->output);
    if (lives) {
        kill(launched->launcher, SIGKILL);
        waitpid(launched->launcher, NULL, 0);
    }
}

static void test_launcher__of_open_mpi_is_killed(void) {
    const char *const names[] = {"mpirun", "orted", "prterun", "prted"};
    for (int i = 0; i < 4; i++) {
        struct launched launched = launch(names[i], 1, false);
        int how;
        bool ended = has_ended(&how, &launched, 10);
        CU_ASSERT_TRUE(ended && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        clean(&launched, !ended);
    }
}

/* Whoever reads what the job says learns of its end at once. */
static void test_launcher__is_given_time_and_holds_no_output(void) {
    struct launched launched = launch("mpirun", 60, false);
    int how;
    CU_ASSERT_TRUE(output_ends(&launched, 10));
    bool ended = has_ended(&how, &launched, 1);
    CU_ASSERT_FALSE(ended);
    clean(&launched, !ended);
}

static void test_launcher__that_ends_by_itself_is_left_alone(void) {
    struct launched launched = launch("mpirun", 60, true);
    int how;
    bool ended = has_ended(&how, &launched, 10);
    CU_ASSERT_TRUE(ended && WIFEXITED(how) && WEXITSTATUS(how) == 0);
    clean(&launched, !ended);
}

/* A shell, or a batch system's own. */
static void test_launcher__of_someone_else_is_left_alone(void) {
    const char *const names[] = {"slurmstepd", "mpirun2", "bash"};
    for (int i = 0; i < 3; i++) {
        struct launched launched = launch(names[i], 0, false);
        int how;
        CU_ASSERT_TRUE(output_ends(&launched, 10)); /* the rank is gone */
        bool ended = has_ended(&how, &launched, 1);
        CU_ASSERT_FALSE(ended);
        clean(&launched, !ended);
    }
}

TEST_MAIN("launcher", TEST(test_launcher__of_open_mpi_is_killed),
    TEST(test_launcher__is_given_time_and_holds_no_output),
    TEST(test_launcher__that_ends_by_itself_is_left_alone),
    TEST(test_launcher__of_someone_else_is_left_alone))
