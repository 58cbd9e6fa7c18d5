/* A GPU's memory and the processes that hold it. */
#define _GNU_SOURCE
#include "nvml.h"

#include <time.h>

#define MIB (1LL << 20)

static bool process_counts(const struct target *target, const struct process *process) {
    return (target->mig < 0 || process->mig == target->mig) && process_present(process);
}

/* Bytes in use: what the state says, and what the processes that are present hold. */
static long long used_bytes(const struct target *target) {
    long long bytes = target->mig < 0 && target->gpu.used != ABSENT ? target->gpu.used : 0;
    for (int i = 0; i < target->gpu.process_count; i++) {
        const struct process *process = &target->gpu.processes[i];
        if (process->bytes != ABSENT && process_counts(target, process))
            bytes += process->bytes;
    }
    return bytes;
}

struct memory_v1 {
    nvmlLong total, free, used;
};

struct memory_v2 {
    unsigned version;
    nvmlLong total, reserved, free, used;
};

/* Of a GPU in MIG mode as a whole only administrators are told. */
static nvmlReturn_t allowed(const struct target *target) {
    bool all_slices = target->mig < 0 && target->gpu.mig_mode == 1;
    return all_slices && target->gpu.mig_private == 1 ? NO_PERMISSION : SUCCESS;
}

static nvmlReturn_t memory(const struct target *target, struct memory_v2 *memory) {
    if (allowed(target))
        return NO_PERMISSION;
    long long total =
        target->mig < 0 ? target->gpu.memory : target->gpu.migs[target->mig].memory;
    if (total == ABSENT)
        return NOT_SUPPORTED;
    memory->total = total;
    memory->reserved = target->mig < 0 && target->gpu.reserved > 0 ? target->gpu.reserved : 0;
    long long room = total - (long long)memory->reserved, used = used_bytes(target);
    memory->used = used < room ? used : room;
    memory->free = room - (long long)memory->used;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, struct memory_v1 *info) {
    ENTER_DEVICE(device);
    struct memory_v2 now;
    nvmlReturn_t error = memory(&target, &now);
    if (error)
        return error;
    *info = (struct memory_v1){now.total, now.free, now.used + now.reserved};
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, struct memory_v2 *info) {
    ENTER_DEVICE(device);
    if (info->version != (2U << 24 | sizeof *info))
        return VERSION_MISMATCH;
    return memory(&target, info);
}

struct bar1 {
    nvmlLong total, free, used;
};

EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, struct bar1 *info) {
    ENTER_GPU(device);
    if (target.gpu.bar1 == ABSENT)
        return NOT_SUPPORTED;
    *info = (struct bar1){target.gpu.bar1, target.gpu.bar1 - MIB, MIB};
    return SUCCESS;
}

struct process_v1 {
    unsigned pid;
    nvmlLong bytes;
};

struct process_v2 {
    unsigned pid;
    nvmlLong bytes;
    unsigned gi, ci;
};

/* The processes of one kind. `size` is in: room, out: how many there are. */
static nvmlReturn_t list(const struct target *target, bool graphics, unsigned *size,
                         struct process_v2 *to) {
    unsigned room = to ? *size : 0, count = 0;
    if (allowed(target))
        return NO_PERMISSION;
    for (int i = 0; i < target->gpu.process_count; i++) {
        const struct process *process = &target->gpu.processes[i];
        if (process->graphics != graphics || !process_counts(target, process))
            continue;
        const struct mig *mig = process->mig < 0 ? NULL : &target->gpu.migs[process->mig];
        if (count++ < room)
            to[count - 1] = (struct process_v2){
                process->pid, process->bytes, mig ? mig->gi : ~0U, mig ? mig->ci : ~0U};
    }
    *size = count;
    return count > room ? INSUFFICIENT_SIZE : SUCCESS;
}

static nvmlReturn_t list_v1(const struct target *target, bool graphics, unsigned *size,
                            struct process_v1 *to) {
    struct process_v2 found[MAX_PROCESSES];
    unsigned room = to ? *size : 0, count = MAX_PROCESSES;
    nvmlReturn_t error = list(target, graphics, &count, found);
    if (error)
        return error;
    for (unsigned i = 0; i < count && i < room; i++)
        to[i] = (struct process_v1){found[i].pid, found[i].bytes};
    *size = count;
    return count > room ? INSUFFICIENT_SIZE : SUCCESS;
}

#define PROCESSES(name, struct_type, lister, graphics)                                             \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned *size, struct struct_type *to) {        \
        ENTER_DEVICE(device);                                                              \
        return lister(&target, graphics, size, to);                                                \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses, process_v1, list_v1, false)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, process_v2, list, false)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, process_v2, list, false)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, process_v1, list_v1, true)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, process_v2, list, true)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, process_v2, list, true)

struct process_work {
    unsigned pid;
    nvmlLong at;
    unsigned sm, memory, encoder, decoder;
};

static bool works(const struct target *target, const struct process *process) {
    return process->work > 0 && process_counts(target, process);
}

/* Those that did anything of late, as of now; not told of a GPU that is cut into slices. */
EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, struct process_work *to,
                                                    unsigned *size, nvmlLong since) {
    ENTER_GPU(device);
    if (target.gpu.mig_mode == 1)
        return NOT_SUPPORTED;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    nvmlLong at = now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
    unsigned room = to ? *size : 0, count = 0;
    for (int i = 0; since < at && i < target.gpu.process_count; i++) {
        const struct process *process = &target.gpu.processes[i];
        if (works(&target, process) && count++ < room)
            to[count - 1] = (struct process_work){process->pid, at, process->work, 0, 0, 0};
    }
    *size = count;
    return !count ? NOT_FOUND : count > room ? INSUFFICIENT_SIZE : SUCCESS;
}
