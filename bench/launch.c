/* launch FD CORES COMMAND...: runs a command on the named cores ("1" or "0,1"), and writes one line on file
 * descriptor FD: exit status, CPU microseconds (user and system), wall microseconds, peak resident KiB.
 *
 * Why not from Python: Linux counts what a process held before exec to the peak of the program after it, so
 * a child of a large interpreter seems never smaller than that interpreter. This one holds next to nothing. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long micros(struct timeval t) { return t.tv_sec * 1000000L + t.tv_usec; }

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static void stay_on(char *cores) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (char *core = strtok(cores, ","); core; core = strtok(NULL, ",")) CPU_SET(atoi(core), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) perror("launch: the cores could not be chosen");
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int report = atoi(argv[1]);
    stay_on(argv[2]);
    long start = now();
    pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) {
        close(report);
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    int status = 0;
    struct rusage used;
    if (wait4(child, &status, 0, &used) < 0) return 2;
    long wall = now() - start;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    dprintf(report, "%d %ld %ld %ld\n", code, micros(used.ru_utime) + micros(used.ru_stime), wall, used.ru_maxrss);
    return 0;
}
