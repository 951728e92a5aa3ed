/* A disk that is as slow as a test likes: `fdatasync` of journal segments, each call noted. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

int fdatasync(int fd) {
    const char *dir = getenv("SLOW_DISK");
    char link[64], file[4096], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, file, sizeof file);
    if (dir && length > 4 && !memcmp(file + length - 4, ".log", 4)) {
        snprintf(path, sizeof path, "%s/calls", dir);
        int calls = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
        if (calls < 0 || write(calls, "x", 1) != 1) abort();
        close(calls);
        snprintf(path, sizeof path, "%s/stopped", dir);
        do wait_ms(20);
        while (access(path, F_OK) == 0);
    }
    return syscall(SYS_fdatasync, fd);
}
