/* How a GPU is cut up (MIG) and how it is joined to the others, to the CPUs and to the bus. */
#define _GNU_SOURCE
#include "nvml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For what exists for MIG devices only. */
static nvmlReturn_t enter_mig(nvmlDevice_t device, const char *call, struct target *target) {
    nvmlReturn_t error = enter_device(device, call, target);
    return error ? error : target->mig < 0 ? INVALID_ARGUMENT : SUCCESS;
}

#define ENTER_MIG(device) ENTER_(enter_mig, device)

/* ---- MIG ---- */

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current,
                                         unsigned *pending) {
    ENTER_GPU(device);
    nvmlReturn_t error = put_number(target.gpu.mig_mode, current);
    return error ? error : put_number(target.gpu.mig_mode, pending);
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *count) {
    ENTER_GPU(device);
    *count = target.gpu.mig_mode == ABSENT ? 0 : 7;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index,
                                                        nvmlDevice_t *mig) {
    ENTER_GPU(device);
    if (target.gpu.mig_mode == ABSENT)
        return NOT_SUPPORTED;
    if (target.gpu.mig_mode == 0 || index >= (unsigned)target.gpu.mig_count)
        return NOT_FOUND;
    *mig = mig_handle(target.index, index);
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned *is_mig) {
    struct target target;
    nvmlReturn_t error = enter_device(device, __func__, &target);
    *is_mig = !error && target.mig >= 0;
    return error;
}

EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig,
                                                                 nvmlDevice_t *device) {
    ENTER_MIG(mig);
    *device = gpu_handle(target.index);
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t mig, unsigned *id) {
    ENTER_MIG(mig);
    *id = target.gpu.migs[target.mig].gi;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t mig, unsigned *id) {
    ENTER_MIG(mig);
    *id = target.gpu.migs[target.mig].ci;
    return SUCCESS;
}

struct attributes {
    unsigned multiprocessors, copy_engines, decoders, encoders, jpegs, ofas;
    unsigned gpu_slices, compute_slices;
    nvmlLong memory_mib;
};

EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t mig, struct attributes *attributes) {
    ENTER_MIG(mig);
    const struct mig *slice = &target.gpu.migs[target.mig];
    *attributes = (struct attributes){
        .multiprocessors = 16 * slice->slices,
        .copy_engines = slice->slices,
        .gpu_slices = slice->slices,
        .compute_slices = slice->slices,
        .memory_mib = slice->memory >> 20,
    };
    return SUCCESS;
}

/* ---- the bus ---- */

struct pci {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char address[32];
};

static nvmlReturn_t put_pci(const char *address, struct pci *pci) {
    memset(pci, 0, sizeof *pci);
    if (sscanf(address, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device) != 3)
        return NOT_SUPPORTED;
    snprintf(pci->address, sizeof pci->address, "%s", address);
    snprintf(pci->legacy, sizeof pci->legacy, "%04X:%02X:%02X.0", pci->domain & 0xFFFF,
             pci->bus & 0xFF, pci->device & 0xFF);
    pci->id = 0x233010DE;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, struct pci *pci) {
    struct target target; /* a MIG device has its GPU's address */
    nvmlReturn_t error = enter_device(device, __func__, &target);
    return error ? error : put_pci(target.gpu.pci, pci);
}

/* ---- neighbours ---- */

enum { INTERNAL = 0, SINGLE = 10, NODE = 40, SYSTEM = 50 };
enum { P2P_OK = 0, P2P_NOT_SUPPORTED = 5, P2P_NVLINK = 2 };

static int distance(const struct target *one, const struct target *other) {
    if (one->index == other->index)
        return INTERNAL;
    if (one->gpu.pcie_switch != ABSENT && one->gpu.pcie_switch == other->gpu.pcie_switch)
        return SINGLE;
    return one->gpu.numa == other->gpu.numa ? NODE : SYSTEM;
}

EXPORT nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other,
                                                        int *level) {
    ENTER_GPU(one);
    struct target second;
    nvmlReturn_t error = enter_gpu(other, __func__, &second);
    if (!error)
        *level = distance(&target, &second);
    return error;
}

static bool linked(const struct gpu *gpu, const char *peer) {
    for (int i = 0; i < gpu->link_count; i++)
        if (!strcmp(gpu->links[i], peer))
            return true;
    return false;
}

static bool is_switch(const char *peer) { return strncmp(peer, "GPU-", 4) != 0; }

/* By links of their own, or over a switch that both are joined to. */
static bool joined(const struct gpu *one, const struct gpu *other) {
    if (one->isolated == 1 || other->isolated == 1) /* the fabric keeps it apart */
        return false;
    for (int i = 0; i < one->link_count; i++)
        if (is_switch(one->links[i]) && linked(other, one->links[i]))
            return true;
    return linked(one, other->uuid);
}

EXPORT nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t one, nvmlDevice_t other, int what,
                                           int *status) {
    ENTER_GPU(one);
    struct target second;
    nvmlReturn_t error = enter_gpu(other, __func__, &second);
    if (error)
        return error;
    bool by_link = joined(&target.gpu, &second.gpu);
    bool by_bus = what != P2P_NVLINK && distance(&target, &second) <= NODE;
    *status = by_link || by_bus ? P2P_OK : P2P_NOT_SUPPORTED;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link,
                                             unsigned *active) {
    ENTER_GPU(device);
    if (!target.gpu.link_count)
        return NOT_SUPPORTED;
    if (link >= MAX_LINKS)
        return INVALID_ARGUMENT;
    *active = link < (unsigned)target.gpu.link_count;
    return SUCCESS;
}

/* What is at the other end: a GPU's UUID, or a switch's PCI address. */
static nvmlReturn_t peer_of(const struct gpu *gpu, unsigned link, const char **peer) {
    if (link >= (unsigned)gpu->link_count)
        return gpu->link_count ? INVALID_ARGUMENT : NOT_SUPPORTED;
    *peer = gpu->links[link];
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned link,
                                                        struct pci *pci) {
    ENTER_GPU(device);
    const char *peer;
    nvmlReturn_t error = peer_of(&target.gpu, link, &peer);
    if (error)
        return error;
    char address[32] = "";
    if (is_switch(peer))
        snprintf(address, sizeof address, "%.31s", peer);
    state_lock();
    const struct state *state = state_now();
    for (int g = 0; g < state->system.gpu_count; g++)
        if (!strcmp(state->gpus[g].uuid, peer))
            snprintf(address, sizeof address, "%s", state->gpus[g].pci);
    state_unlock();
    return put_pci(address, pci);
}

enum { REMOTE_GPU = 0, REMOTE_SWITCH = 2 };

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned link,
                                                        unsigned *type) {
    ENTER_GPU(device);
    const char *peer;
    nvmlReturn_t error = peer_of(&target.gpu, link, &peer);
    if (!error)
        *type = is_switch(peer) ? REMOTE_SWITCH : REMOTE_GPU;
    return error;
}

/* ---- CPUs ---- */

/* The GPU's own memory node, where it is one. */
EXPORT nvmlReturn_t nvmlDeviceGetNumaNodeId(nvmlDevice_t device, unsigned *node) {
    ENTER_GPU(device);
    (void)node;
    return NOT_SUPPORTED;
}

/* The memory node of the CPUs beside it. */
EXPORT nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned words,
                                                unsigned long *mask, unsigned scope) {
    ENTER_GPU(device);
    if (target.gpu.numa == ABSENT)
        return NOT_SUPPORTED;
    if (scope > 1)
        return INVALID_ARGUMENT;
    memset(mask, 0, words * sizeof *mask);
    if (target.gpu.numa / 64 < words)
        mask[target.gpu.numa / 64] |= 1UL << target.gpu.numa % 64;
    return SUCCESS;
}

/* `cpus` is a list as in taskset: 0-15,32-47. */
EXPORT nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned words,
                                             unsigned long *mask) {
    ENTER_GPU(device);
    if (!*target.gpu.cpus)
        return NOT_SUPPORTED;
    memset(mask, 0, words * sizeof *mask);
    char *rest = target.gpu.cpus, *range;
    while ((range = strsep(&rest, ","))) {
        unsigned first = 0, last = 0;
        int found = sscanf(range, "%u-%u", &first, &last);
        for (unsigned cpu = first; found > 0 && cpu <= (found > 1 ? last : first); cpu++)
            if (cpu / 64 < words)
                mask[cpu / 64] |= 1UL << cpu % 64;
    }
    return SUCCESS;
}
