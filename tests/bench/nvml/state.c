/* Reads the state file, again whenever it was replaced or changed. */
#define _GNU_SOURCE
#include "state.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_PATH "/run/fake-nvml/state"
#define MAX_FIELDS 64

struct version {
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct record {
    char *fields[MAX_FIELDS];
    int count;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct state state;
static struct version seen[2];

void state_lock(void) { pthread_mutex_lock(&mutex); }
void state_unlock(void) { pthread_mutex_unlock(&mutex); }

static struct record split(char *line) {
    struct record record = {.count = 0};
    char *field;
    line[strcspn(line, "\n")] = '\0';
    while (record.count < MAX_FIELDS && (field = strsep(&line, "\t")))
        record.fields[record.count++] = field;
    return record;
}

static const char *text(const struct record *record, const char *key) {
    size_t length = strlen(key);
    for (int i = 1; i < record->count; i++)
        if (!strncmp(record->fields[i], key, length) && record->fields[i][length] == '=')
            return record->fields[i] + length + 1;
    return NULL;
}

static void copy(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from ? from : "");
}

static long long number(const struct record *record, const char *key) {
    const char *value = text(record, key);
    return value ? strtoll(value, NULL, 10) : ABSENT;
}

static bool flag(const struct record *record, const char *key) { return number(record, key) > 0; }

/* The GPU with that UUID, or the one that holds the MIG device with it. */
static struct gpu *find(const char *uuid, int *mig) {
    *mig = -1;
    for (int i = 0; uuid && i < state.system.gpu_count; i++) {
        struct gpu *gpu = &state.gpus[i];
        if (!strcmp(gpu->uuid, uuid))
            return gpu;
        for (int m = 0; m < gpu->mig_count; m++)
            if (!strcmp(gpu->migs[m].uuid, uuid)) {
                *mig = m;
                return gpu;
            }
    }
    return NULL;
}

static void read_gpu(const struct record *r) {
    if (state.system.gpu_count == MAX_GPUS)
        return;
    struct gpu *gpu = &state.gpus[state.system.gpu_count++];
    copy(gpu->uuid, sizeof gpu->uuid, text(r, "uuid"));
    copy(gpu->name, sizeof gpu->name, text(r, "name"));
    copy(gpu->pci, sizeof gpu->pci, text(r, "pci"));
    copy(gpu->serial, sizeof gpu->serial, text(r, "serial"));
    copy(gpu->cpus, sizeof gpu->cpus, text(r, "cpus"));
    gpu->lost = flag(r, "lost");
    gpu->hang = flag(r, "hang");
    const struct {
        const char *key;
        long long *value;
    } numbers[] = {
        {"memory", &gpu->memory},
        {"used", &gpu->used},
        {"reserved", &gpu->reserved},
        {"bar1", &gpu->bar1},
        {"utilization", &gpu->utilization},
        {"memory_utilization", &gpu->memory_utilization},
        {"temperature", &gpu->temperature},
        {"slowdown_temperature", &gpu->slowdown_temperature},
        {"shutdown_temperature", &gpu->shutdown_temperature},
        {"power", &gpu->power},
        {"power_limit", &gpu->power_limit},
        {"energy", &gpu->energy},
        {"fan", &gpu->fan},
        {"pstate", &gpu->pstate},
        {"clock_graphics", &gpu->clock_graphics},
        {"clock_sm", &gpu->clock_sm},
        {"clock_memory", &gpu->clock_memory},
        {"clock_video", &gpu->clock_video},
        {"clock_max", &gpu->clock_max},
        {"throttle", &gpu->throttle},
        {"ecc", &gpu->ecc},
        {"ecc_corrected", &gpu->ecc_corrected},
        {"ecc_uncorrected", &gpu->ecc_uncorrected},
        {"ecc_corrected_ever", &gpu->ecc_corrected_ever},
        {"ecc_uncorrected_ever", &gpu->ecc_uncorrected_ever},
        {"remapped_pending", &gpu->remapped_pending},
        {"remapped_failed", &gpu->remapped_failed},
        {"recovery_action", &gpu->recovery_action},
        {"mig_mode", &gpu->mig_mode},
        {"mig_private", &gpu->mig_private},
        {"isolated", &gpu->isolated},
        {"numa", &gpu->numa},
        {"pcie_switch", &gpu->pcie_switch},
        {"pcie_gen", &gpu->pcie_gen},
        {"pcie_width", &gpu->pcie_width},
        {"pcie_gen_max", &gpu->pcie_gen_max},
        {"pcie_width_max", &gpu->pcie_width_max},
        {"major", &gpu->major},
        {"minor", &gpu->minor},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i].value = number(r, numbers[i].key);
}

static void read_mig(struct gpu *gpu, const struct record *r) {
    if (gpu->mig_count == MAX_MIGS)
        return;
    struct mig *mig = &gpu->migs[gpu->mig_count++];
    copy(mig->uuid, sizeof mig->uuid, text(r, "uuid"));
    copy(mig->name, sizeof mig->name, text(r, "name"));
    mig->memory = number(r, "memory");
    mig->gi = number(r, "gi");
    mig->ci = number(r, "ci");
    mig->slices = number(r, "slices");
}

static void add_process(struct gpu *gpu, struct process process) {
    if (gpu->process_count < MAX_PROCESSES)
        gpu->processes[gpu->process_count++] = process;
}

static void read_process(struct gpu *gpu, int mig, const struct record *r) {
    const char *kind = text(r, "kind");
    struct process process = {
        .pid = number(r, "pid"),
        .bytes = number(r, "bytes"),
        .work = number(r, "work"),
        .graphics = kind && !strcmp(kind, "graphics"),
        .while_alive = flag(r, "live"),
        .mig = mig,
    };
    copy(process.name, sizeof process.name, text(r, "name"));
    add_process(gpu, process);
}

static void read_system(const struct record *r) {
    copy(state.system.driver, sizeof state.system.driver, text(r, "driver"));
    copy(state.system.nvml, sizeof state.system.nvml, text(r, "nvml"));
    state.system.cuda = number(r, "cuda");
    state.system.hang = flag(r, "hang");
}

static void read_record(char *line) {
    struct record record = split(line);
    const char *kind = record.fields[0];
    if (!strcmp(kind, "system")) {
        read_system(&record);
        return;
    }
    if (!strcmp(kind, "gpu")) {
        read_gpu(&record);
        return;
    }
    int mig;
    struct gpu *gpu = find(text(&record, "gpu"), &mig);
    if (!gpu)
        return;
    if (!strcmp(kind, "mig")) {
        read_mig(gpu, &record);
    } else if (!strcmp(kind, "process")) {
        read_process(gpu, mig, &record);
    } else if (!strcmp(kind, "xid") && gpu->xid_count < MAX_XIDS) {
        gpu->xids[gpu->xid_count++] =
            (struct xid){.seq = number(&record, "seq"), .code = number(&record, "code")};
    } else if (!strcmp(kind, "error") && gpu->failure_count < MAX_ERRORS) {
        struct failure *failure = &gpu->failures[gpu->failure_count++];
        copy(failure->call, sizeof failure->call, text(&record, "call"));
        failure->code = number(&record, "code");
    } else if (!strcmp(kind, "link") && gpu->link_count < MAX_LINKS) {
        copy(gpu->links[gpu->link_count++], UUID_SIZE, text(&record, "peer"));
    }
}

/* `UUID[,UUID...] PID MIB`, written by a workload about itself. */
static void read_own_process(char *line) {
    char *uuids = strsep(&line, " "), *uuid;
    unsigned pid;
    long long mebibytes;
    if (!line || sscanf(line, "%u %lld", &pid, &mebibytes) != 2)
        return;
    while ((uuid = strsep(&uuids, ","))) {
        int mig;
        struct gpu *gpu = find(uuid, &mig);
        if (gpu)
            add_process(gpu, (struct process){.pid = pid,
                                              .bytes = mebibytes << 20,
                                              .work = ABSENT,
                                              .while_alive = true,
                                              .mig = mig});
    }
}

static bool read_lines(const char *path, void (*read_line)(char *)) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0)
        read_line(line);
    free(line);
    fclose(file);
    return true;
}

static bool changed(const char *path, struct version *last) {
    struct stat status;
    struct version now = {0};
    if (!stat(path, &status))
        now = (struct version){status.st_ino, status.st_size, status.st_mtim};
    bool differs = now.inode != last->inode || now.size != last->size ||
                   now.modified.tv_sec != last->modified.tv_sec ||
                   now.modified.tv_nsec != last->modified.tv_nsec;
    *last = now;
    return differs;
}

const struct state *state_now(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    char own[4096];
    path = path && *path ? path : DEFAULT_PATH;
    snprintf(own, sizeof own, "%s.processes", path);
    bool first = changed(path, &seen[0]), second = changed(own, &seen[1]);
    if (first || second) {
        memset(&state, 0, sizeof state);
        state.system.loaded = read_lines(path, read_record);
        read_lines(own, read_own_process);
    }
    return &state;
}

static bool zombie(unsigned pid) {
    char path[64], status[512] = "";
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t length = fread(status, 1, sizeof status - 1, file);
    fclose(file);
    status[length] = '\0';
    const char *end = strrchr(status, ')'); /* the command's name may hold anything */
    return end && strlen(end) > 2 && (end[2] == 'Z' || end[2] == 'X');
}

bool process_present(const struct process *process) {
    if (!process->while_alive)
        return true;
    if (kill((pid_t)process->pid, 0) && errno == ESRCH)
        return false;
    return !zombie(process->pid);
}
