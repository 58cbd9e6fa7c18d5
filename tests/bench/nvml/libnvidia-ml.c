/* A stand-in for the driver's libnvidia-ml.so.1, so that NVML's real callers run where there is
 * no GPU. It answers from a state file (see state.h), with NVML's own structs and error codes. */
#define _GNU_SOURCE
#include "nvml.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>


static atomic_int users;
static char gpu_slots[MAX_GPUS], mig_slots[MAX_GPUS][MAX_MIGS];

/* ---- handles and the way into a call ---- */

nvmlDevice_t gpu_handle(int index) { return (nvmlDevice_t)&gpu_slots[index]; }
nvmlDevice_t mig_handle(int index, int mig) { return (nvmlDevice_t)&mig_slots[index][mig]; }

void nap_ms(unsigned milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static bool locate(nvmlDevice_t device, int *index, int *mig) {
    const char *slot = (const char *)device;
    if (slot >= gpu_slots && slot < gpu_slots + MAX_GPUS) {
        *index = slot - gpu_slots;
        *mig = -1;
        return true;
    }
    const char *first = &mig_slots[0][0];
    if (slot < first || slot >= first + sizeof mig_slots)
        return false;
    *index = (slot - first) / MAX_MIGS;
    *mig = (slot - first) % MAX_MIGS;
    return true;
}

static struct system system_now(void) {
    state_lock();
    struct system system = state_now()->system;
    state_unlock();
    return system;
}

nvmlReturn_t enter(struct system *system) {
    if (!users)
        return UNINITIALIZED;
    for (*system = system_now(); system->hang; *system = system_now())
        nap_ms(20);
    return system->loaded ? SUCCESS : DRIVER_NOT_LOADED;
}

/* One look at the GPU: whether it answers now, and with what. */
static bool answers(struct target *target, nvmlReturn_t *error) {
    state_lock();
    const struct state *state = state_now();
    bool hangs = state->system.hang;
    *error = target->index < state->system.gpu_count ? SUCCESS : GPU_IS_LOST;
    if (*error == SUCCESS) {
        target->gpu = state->gpus[target->index];
        hangs = hangs || target->gpu.hang;
    }
    if (!state->system.loaded)
        *error = DRIVER_NOT_LOADED;
    state_unlock();
    return !hangs;
}

static nvmlReturn_t prescribed(const struct gpu *gpu, const char *call) {
    const char *version = strstr(call, "_v");
    size_t length = version ? (size_t)(version - call) : strlen(call);
    for (int i = 0; i < gpu->failure_count; i++) {
        const struct failure *failure = &gpu->failures[i];
        if (strlen(failure->call) == length && !strncmp(failure->call, call, length))
            return failure->code;
    }
    return SUCCESS;
}

nvmlReturn_t enter_device(nvmlDevice_t device, const char *call, struct target *target) {
    nvmlReturn_t error;
    if (!users)
        return UNINITIALIZED;
    if (!locate(device, &target->index, &target->mig))
        return INVALID_ARGUMENT;
    while (!answers(target, &error))
        nap_ms(20);
    if (error)
        return error;
    if (target->gpu.lost)
        return GPU_IS_LOST;
    if (target->mig >= target->gpu.mig_count)
        return NOT_FOUND;
    return prescribed(&target->gpu, call);
}

nvmlReturn_t enter_gpu(nvmlDevice_t device, const char *call, struct target *target) {
    nvmlReturn_t error = enter_device(device, call, target);
    return error ? error : target->mig < 0 ? SUCCESS : NOT_SUPPORTED;
}

#define ENTER(system)                                                                              \
    struct system system;                                                                          \
    do {                                                                                           \
        nvmlReturn_t entered = enter(&system);                                                     \
        if (entered)                                                                               \
            return entered;                                                                        \
    } while (0)

nvmlReturn_t put_text(const char *text, char *to, unsigned size) {
    if (!*text)
        return NOT_SUPPORTED;
    return (unsigned)snprintf(to, size, "%s", text) < size ? SUCCESS : INSUFFICIENT_SIZE;
}

nvmlReturn_t put_number(long long value, unsigned *to) {
    if (value == ABSENT)
        return NOT_SUPPORTED;
    *to = value;
    return SUCCESS;
}

/* ---- the library and the system ---- */

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    struct system system;
    users++;
    nvmlReturn_t error = enter(&system);
    if (error)
        users--;
    return error;
}

EXPORT nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

EXPORT nvmlReturn_t nvmlShutdown(void) {
    if (!users)
        return UNINITIALIZED;
    users--;
    return SUCCESS;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t code) {
    switch (code) {
    case SUCCESS: return "The operation was successful";
    case UNINITIALIZED: return "NVML was not first initialized with nvmlInit()";
    case INVALID_ARGUMENT: return "A supplied argument is invalid";
    case NOT_SUPPORTED: return "The requested operation is not available on target device";
    case NO_PERMISSION: return "The current user does not have permission for operation";
    case NOT_FOUND: return "A query to find an object was unsuccessful";
    case INSUFFICIENT_SIZE: return "An input argument is not large enough";
    case DRIVER_NOT_LOADED: return "NVIDIA driver is not loaded";
    case TIMEOUT: return "User provided timeout passed";
    case GPU_IS_LOST: return "The GPU has fallen off the bus or has otherwise become inaccessible";
    case 16: return "The GPU requires a reset before it can be used again";
    case 18: return "RM has detected an NVML/RM version mismatch";
    case VERSION_MISMATCH: return "The provided version is invalid/unsupported";
    default: return "An internal driver error occurred";
    }
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned size) {
    ENTER(system);
    return put_text(system.driver, version, size);
}

EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned size) {
    ENTER(system);
    return put_text(system.nvml, version, size);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    ENTER(system);
    *version = system.cuda;
    return system.cuda == ABSENT ? NOT_SUPPORTED : SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    return nvmlSystemGetCudaDriverVersion_v2(version);
}

static bool listed_name(unsigned pid, char *name, unsigned size) {
    bool found = false;
    state_lock();
    const struct state *state = state_now();
    for (int g = 0; g < state->system.gpu_count; g++)
        for (int p = 0; p < state->gpus[g].process_count && !found; p++) {
            const struct process *process = &state->gpus[g].processes[p];
            found = process->pid == pid && !put_text(process->name, name, size);
        }
    state_unlock();
    return found;
}

/* The name that the state gives the process, else its program as the kernel knows it. */
EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned size) {
    ENTER(system);
    if (listed_name(pid, name, size))
        return SUCCESS;
    char path[64], command[4096] = "";
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return NOT_FOUND;
    size_t length = fread(command, 1, sizeof command - 1, file);
    fclose(file);
    return length ? put_text(command, name, size) : NOT_FOUND;
}

/* ---- finding devices ---- */

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
    ENTER(system);
    *count = system.gpu_count;
    return SUCCESS;
}

/* Ends a look-up: a GPU that is lost or hangs shows it here already. */
static nvmlReturn_t found(nvmlDevice_t handle, const char *call, nvmlDevice_t *device) {
    struct target target;
    if (!handle)
        return NOT_FOUND;
    *device = handle;
    return enter_device(handle, call, &target);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    ENTER(system);
    if (index >= (unsigned)system.gpu_count)
        return INVALID_ARGUMENT;
    return found(gpu_handle(index), __func__, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    ENTER(system);
    nvmlDevice_t handle = NULL;
    state_lock();
    const struct state *state = state_now();
    for (int g = 0; g < state->system.gpu_count; g++) {
        const struct gpu *gpu = &state->gpus[g];
        if (!strcmp(gpu->uuid, uuid))
            handle = gpu_handle(g);
        for (int m = 0; m < gpu->mig_count; m++)
            if (!strcmp(gpu->migs[m].uuid, uuid))
                handle = mig_handle(g, m);
    }
    state_unlock();
    return found(handle, __func__, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *pci, nvmlDevice_t *device) {
    ENTER(system);
    nvmlDevice_t handle = NULL;
    state_lock();
    const struct state *state = state_now();
    for (int g = 0; g < state->system.gpu_count; g++)
        if (!strcasecmp(state->gpus[g].pci, pci))
            handle = gpu_handle(g);
    state_unlock();
    return found(handle, __func__, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index) {
    ENTER_DEVICE(device);
    *index = target.mig < 0 ? target.index : target.mig;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned size) {
    ENTER_DEVICE(device);
    return put_text(target.mig < 0 ? target.gpu.uuid : target.gpu.migs[target.mig].uuid, uuid, size);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned size) {
    ENTER_DEVICE(device);
    return put_text(target.mig < 0 ? target.gpu.name : target.gpu.migs[target.mig].name, name, size);
}

EXPORT nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned size) {
    ENTER_GPU(device);
    return put_text(target.gpu.serial, serial, size);
}

EXPORT nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned *minor) {
    ENTER_GPU(device);
    *minor = target.index;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major,
                                                       int *minor) {
    ENTER_DEVICE(device);
    if (target.gpu.major == ABSENT)
        return NOT_SUPPORTED;
    *major = target.gpu.major;
    *minor = target.gpu.minor;
    return SUCCESS;
}
