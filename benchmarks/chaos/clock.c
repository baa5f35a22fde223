/* A wall clock that may jump: loaded into a process with LD_PRELOAD.
 *
 * CHAOS_CLOCK names a file that holds one 64-bit number, the seconds by which this process's wall
 * clock is ahead of the machine's (behind, if negative). Whoever writes another number there makes
 * the clock jump. The monotonic clock is left alone, as a real jump leaves it.
 *
 * Waits until a moment of the wall clock follow its jumps, as the kernel's do: after a step ahead
 * they end early, after a step back they last until the clock has come to that moment again. They
 * are waited in slices, each with the clock as it is then. Whether a deadline is one of the wall
 * clock is told by its size: the monotonic clock counts from the start of the machine. Needs glibc
 * 2.30 or newer.
 *
 * (libfaketime turns the deadline of a sleep on the monotonic clock into one long past, and
 * Python's time.sleep fails with it.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NS 200000000L
#define SECOND_NS 1000000000L
#define YEAR_2001 1000000000L

static volatile int64_t *shift;

__attribute__((constructor)) static void open_shift(void) {
    const char *path = getenv("CHAOS_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) shift = map;
}

static time_t ahead(void) { return shift == NULL ? 0 : (time_t)*shift; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (syscall(SYS_clock_gettime, clock, now) != 0) return -1;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += ahead();
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL) *result = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

/* Puts the end of the next slice, by the machine's clock, into `slice`; true when it is the last
 * because the deadline lies within it. */
static int next_slice(const struct timespec *deadline, struct timespec *slice) {
    struct timespec end = *deadline;
    end.tv_sec -= ahead();
    syscall(SYS_clock_gettime, CLOCK_REALTIME, slice);
    slice->tv_nsec += SLICE_NS;
    if (slice->tv_nsec >= SECOND_NS) {
        slice->tv_nsec -= SECOND_NS;
        slice->tv_sec += 1;
    }
    if (end.tv_sec > slice->tv_sec ||
        (end.tv_sec == slice->tv_sec && end.tv_nsec > slice->tv_nsec))
        return 0;
    *slice = end;
    return 1;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    if (deadline->tv_sec < YEAR_2001)
        return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, deadline);
    for (;;) {
        struct timespec slice;
        int is_last = next_slice(deadline, &slice);
        int result = pthread_cond_clockwait(cond, mutex, CLOCK_REALTIME, &slice);
        if (result != ETIMEDOUT || is_last) return result;
    }
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict deadline) {
    for (;;) {
        struct timespec slice;
        int is_last = next_slice(deadline, &slice);
        if (sem_clockwait(sem, CLOCK_REALTIME, &slice) == 0) return 0;
        if (errno != ETIMEDOUT || is_last) return -1;
    }
}
