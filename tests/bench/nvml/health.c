/* What a GPU reports about itself: load, heat, power, clocks, memory errors. */
#define _GNU_SOURCE
#include "nvml.h"

#include <string.h>
#include <time.h>

/* A call that gives one number of the GPU's. */
#define METRIC(name, field)                                                                        \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned *value) {                               \
        ENTER_GPU(device);                                                                 \
        return put_number(target.gpu.field, value);                                                \
    }

METRIC(nvmlDeviceGetPowerUsage, power)
METRIC(nvmlDeviceGetEnforcedPowerLimit, power_limit)
METRIC(nvmlDeviceGetPowerManagementLimit, power_limit)
METRIC(nvmlDeviceGetFanSpeed, fan)
METRIC(nvmlDeviceGetPerformanceState, pstate)
METRIC(nvmlDeviceGetCurrPcieLinkGeneration, pcie_gen)
METRIC(nvmlDeviceGetCurrPcieLinkWidth, pcie_width)
METRIC(nvmlDeviceGetMaxPcieLinkGeneration, pcie_gen_max)
METRIC(nvmlDeviceGetMaxPcieLinkWidth, pcie_width_max)

EXPORT nvmlReturn_t nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned fan, unsigned *value) {
    ENTER_GPU(device);
    return fan ? INVALID_ARGUMENT : put_number(target.gpu.fan, value);
}

EXPORT nvmlReturn_t nvmlDeviceGetNumFans(nvmlDevice_t device, unsigned *count) {
    ENTER_GPU(device);
    *count = target.gpu.fan == ABSENT ? 0 : 1;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, nvmlLong *energy) {
    ENTER_GPU(device);
    *energy = target.gpu.energy;
    return target.gpu.energy == ABSENT ? NOT_SUPPORTED : SUCCESS;
}

struct utilization {
    unsigned gpu, memory;
};

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, struct utilization *rates) {
    ENTER_GPU(device);
    if (target.gpu.mig_mode == 1) /* no utilisation of a GPU that is cut into slices */
        return NOT_SUPPORTED;
    nvmlReturn_t error = put_number(target.gpu.utilization, &rates->gpu);
    return error ? error : put_number(target.gpu.memory_utilization, &rates->memory);
}

/* ---- heat ---- */

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned *value) {
    ENTER_GPU(device);
    return sensor ? INVALID_ARGUMENT : put_number(target.gpu.temperature, value);
}

struct temperature_v1 {
    unsigned version;
    int sensor, value;
};

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, struct temperature_v1 *value) {
    ENTER_GPU(device);
    if (value->version != (1U << 24 | sizeof *value))
        return VERSION_MISMATCH;
    return value->sensor ? INVALID_ARGUMENT
                         : put_number(target.gpu.temperature, (unsigned *)&value->value);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, int threshold,
                                                      unsigned *value) {
    ENTER_GPU(device);
    switch (threshold) {
    case 0: return put_number(target.gpu.shutdown_temperature, value);
    case 1: return put_number(target.gpu.slowdown_temperature, value);
    default: return NOT_SUPPORTED;
    }
}

/* ---- clocks ---- */

EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int kind, unsigned *value) {
    ENTER_GPU(device);
    const struct gpu *gpu = &target.gpu;
    const long long clocks[] = {
        gpu->clock_graphics, gpu->clock_sm, gpu->clock_memory, gpu->clock_video};
    return kind < 0 || kind > 3 ? INVALID_ARGUMENT : put_number(clocks[kind], value);
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, int kind, unsigned *value) {
    ENTER_GPU(device);
    return kind < 0 || kind > 3 ? INVALID_ARGUMENT : put_number(target.gpu.clock_max, value);
}

static nvmlReturn_t clock_reasons(const struct gpu *gpu, nvmlLong *reasons) {
    *reasons = gpu->throttle;
    return gpu->throttle == ABSENT ? NOT_SUPPORTED : SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device, nvmlLong *value) {
    ENTER_GPU(device);
    return clock_reasons(&target.gpu, value);
}

EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device,
                                                              nvmlLong *value) {
    ENTER_GPU(device);
    return clock_reasons(&target.gpu, value);
}

/* ---- memory errors ---- */

enum { CORRECTED = 0, UNCORRECTED = 1, VOLATILE = 0, AGGREGATE = 1, DEVICE_MEMORY = 2 };

static long long ecc_count(const struct gpu *gpu, int kind, int counter) {
    if (counter == VOLATILE)
        return kind == CORRECTED ? gpu->ecc_corrected : gpu->ecc_uncorrected;
    return kind == CORRECTED ? gpu->ecc_corrected_ever : gpu->ecc_uncorrected_ever;
}

static nvmlReturn_t ecc_errors(const struct gpu *gpu, int kind, int counter, nvmlLong *count) {
    if (kind < CORRECTED || kind > UNCORRECTED || counter < VOLATILE || counter > AGGREGATE)
        return INVALID_ARGUMENT;
    long long value = ecc_count(gpu, kind, counter);
    if (gpu->ecc != 1 || value == ABSENT)
        return NOT_SUPPORTED;
    *count = value;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, int *current, int *pending) {
    ENTER_GPU(device);
    if (target.gpu.ecc == ABSENT)
        return NOT_SUPPORTED;
    *current = *pending = target.gpu.ecc;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int kind, int counter,
                                                nvmlLong *count) {
    ENTER_GPU(device);
    return ecc_errors(&target.gpu, kind, counter, count);
}

/* All of the errors are those of the GPU's main memory. */
EXPORT nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, int kind, int counter,
                                                    int location, nvmlLong *count) {
    ENTER_GPU(device);
    nvmlReturn_t error = ecc_errors(&target.gpu, kind, counter, count);
    if (!error && location != DEVICE_MEMORY)
        *count = 0;
    return error;
}

EXPORT nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *corrected,
                                              unsigned *uncorrected, unsigned *pending,
                                              unsigned *failed) {
    ENTER_GPU(device);
    *corrected = 0;
    nvmlReturn_t error = put_number(target.gpu.remapped_pending, pending);
    *uncorrected = error ? 0 : *pending;
    return error ? error : put_number(target.gpu.remapped_failed, failed);
}

/* ---- field values ---- */

struct field_value {
    unsigned field, scope;
    long long timestamp, latency;
    int type;
    nvmlReturn_t error;
    union {
        unsigned as_unsigned;
        nvmlLong as_long;
    } value;
};

enum { TYPE_UNSIGNED = 1, TYPE_LONG = 3 };

static long long field_number(const struct gpu *gpu, unsigned field, int *type) {
    *type = TYPE_LONG;
    switch (field) {
    case 3: return ecc_count(gpu, CORRECTED, VOLATILE);
    case 4: return ecc_count(gpu, UNCORRECTED, VOLATILE);
    case 5: return ecc_count(gpu, CORRECTED, AGGREGATE);
    case 6: return ecc_count(gpu, UNCORRECTED, AGGREGATE);
    case 83: return gpu->energy;
    }
    *type = TYPE_UNSIGNED;
    switch (field) {
    case 185: /* average power */
    case 186: return gpu->power;
    case 230: return gpu->recovery_action;
    default: return ABSENT;
    }
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count,
                                             struct field_value *values) {
    ENTER_GPU(device);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < count; i++) {
        struct field_value *value = &values[i];
        long long number = field_number(&target.gpu, value->field, &value->type);
        value->timestamp = now.tv_sec * 1000000LL + now.tv_nsec / 1000;
        value->latency = 0;
        value->error = number == ABSENT ? NOT_SUPPORTED : SUCCESS;
        if (value->type == TYPE_LONG)
            value->value.as_long = number;
        else
            value->value.as_unsigned = number;
    }
    return SUCCESS;
}
