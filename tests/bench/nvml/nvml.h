/* The part of NVML's binary interface that the stand-in offers, and what its files share. */
#ifndef NVML_H
#define NVML_H

#include "state.h"

typedef int nvmlReturn_t;
typedef struct nvmlDevice *nvmlDevice_t;
typedef struct nvmlEventSet *nvmlEventSet_t;
typedef unsigned long long nvmlLong;

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NO_PERMISSION = 4,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    MEMORY = 20,
    VERSION_MISMATCH = 25,
};

/* Which GPU a handle means, and which of its MIG devices (or -1). */
struct target {
    int index, mig;
    struct gpu gpu; /* a copy: no lock is held while it is looked at */
};

nvmlDevice_t gpu_handle(int index);
nvmlDevice_t mig_handle(int index, int mig);

/* Begins a call. They block while the state says `hang`, as calls do after XID 79, and give the
 * error that the state prescribes for this call, if any. `call` is the function's name. */
nvmlReturn_t enter(struct system *system);
nvmlReturn_t enter_device(nvmlDevice_t device, const char *call, struct target *target);
/* The same for what exists for whole GPUs only. */
nvmlReturn_t enter_gpu(nvmlDevice_t device, const char *call, struct target *target);

/* The same as first line of a function: it declares `target`, or returns the error. */
#define ENTER_(how, device)                                                                        \
    struct target target;                                                                          \
    do {                                                                                           \
        nvmlReturn_t entered = how(device, __func__, &target);                                     \
        if (entered)                                                                               \
            return entered;                                                                        \
    } while (0)
#define ENTER_DEVICE(device) ENTER_(enter_device, device)
#define ENTER_GPU(device) ENTER_(enter_gpu, device)

#define EXPORT __attribute__((visibility("default")))

nvmlReturn_t put_text(const char *text, char *to, unsigned size);
nvmlReturn_t put_number(long long value, unsigned *to);

void nap_ms(unsigned milliseconds);

#endif
