/* Event sets: the XIDs that the state file lists, each given once to each set that waits. */
#define _GNU_SOURCE
#include "nvml.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { XID_CRITICAL = 8, LOOK_EVERY_MS = 50 };

struct nvmlEventSet {
    bool registered[MAX_GPUS];
    long long seen[MAX_GPUS]; /* the newest XID that this set was given, or was too late for */
};

struct event_v1 {
    nvmlDevice_t device;
    nvmlLong type, data;
};

struct event_v2 {
    nvmlDevice_t device;
    nvmlLong type, data;
    unsigned gi, ci;
};

EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    *set = calloc(1, sizeof **set);
    return *set ? SUCCESS : MEMORY;
}

EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
    free(set);
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, nvmlLong *types) {
    struct target target;
    nvmlReturn_t error = enter_gpu(device, __func__, &target);
    *types = XID_CRITICAL;
    return error;
}

EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, nvmlLong types,
                                             nvmlEventSet_t set) {
    struct target target;
    nvmlReturn_t error = enter_gpu(device, __func__, &target);
    if (error)
        return error;
    if (types & ~(nvmlLong)XID_CRITICAL)
        return NOT_SUPPORTED;
    set->registered[target.index] = types != 0;
    for (int i = 0; i < target.gpu.xid_count; i++)
        if (target.gpu.xids[i].seq > set->seen[target.index])
            set->seen[target.index] = target.gpu.xids[i].seq;
    return SUCCESS;
}

/* The oldest XID that the set has not been given yet. */
static bool next_event(nvmlEventSet_t set, struct event_v2 *event) {
    const struct xid *oldest = NULL;
    int where = 0;
    state_lock();
    const struct state *state = state_now();
    for (int g = 0; g < state->system.gpu_count; g++)
        for (int i = 0; set->registered[g] && i < state->gpus[g].xid_count; i++) {
            const struct xid *xid = &state->gpus[g].xids[i];
            if (xid->seq > set->seen[g] && (!oldest || xid->seq < oldest->seq)) {
                oldest = xid;
                where = g;
            }
        }
    if (oldest) {
        set->seen[where] = oldest->seq;
        *event = (struct event_v2){gpu_handle(where), XID_CRITICAL, oldest->code, ~0U, ~0U};
    }
    state_unlock();
    return oldest != NULL;
}

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, struct event_v2 *event,
                                        unsigned timeout_ms) {
    long long end = now_ms() + timeout_ms;
    while (!next_event(set, event)) {
        long long left = end - now_ms();
        if (left <= 0)
            return TIMEOUT;
        nap_ms(left < LOOK_EVERY_MS ? left : LOOK_EVERY_MS);
    }
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, struct event_v1 *event,
                                     unsigned timeout_ms) {
    struct event_v2 full;
    nvmlReturn_t error = nvmlEventSetWait_v2(set, &full, timeout_ms);
    if (!error)
        *event = (struct event_v1){full.device, full.type, full.data};
    return error;
}
