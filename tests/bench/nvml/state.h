/* What the stand-in knows of the machine: the content of the state file.
 *
 * One record a line, fields separated by tabs, `key=value`, in this order:
 *
 *   system   driver= nvml= cuda= hang=0|1
 *   gpu      uuid= name= pci= memory= used= reserved= ...   (bytes, mW, degrees C, MHz, percent)
 *   mig      gpu=UUID uuid= name= memory= gi= ci= slices=
 *   process  gpu=UUID pid= bytes= kind=compute|graphics live=0|1 name= work=   (percent)
 *   xid      gpu=UUID seq= code=
 *   error    gpu=UUID call=nvmlDeviceGetFanSpeed code=3
 *   link     gpu=UUID peer=UUID|PCI                          (one NVLink; PCI: to that switch)
 *
 * A number that is left out is one that this GPU does not report (NOT_SUPPORTED).
 * Beside the state file, `STATE.processes` is open to every account, so that a workload can take
 * memory by itself: lines of `UUID[,UUID...] PID MIB`, each valid while that process lives.
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    MAX_GPUS = 16,
    MAX_MIGS = 8,
    MAX_PROCESSES = 64,
    MAX_XIDS = 32,
    MAX_ERRORS = 32,
    MAX_LINKS = 18,
    UUID_SIZE = 96,
    NAME_SIZE = 96,
};

#define ABSENT (-1LL)

struct process {
    unsigned pid;
    long long bytes, work;
    bool graphics;
    bool while_alive;
    int mig; /* index of the MIG device, or -1 */
    char name[48];
};

struct mig {
    char uuid[UUID_SIZE];
    char name[NAME_SIZE];
    long long memory;
    unsigned gi, ci, slices;
};

struct xid {
    long long seq;
    unsigned code;
};

struct failure {
    char call[64];
    int code;
};

struct gpu {
    char uuid[UUID_SIZE];
    char name[NAME_SIZE];
    char pci[32];
    char serial[30];
    char cpus[128];
    bool lost, hang;
    long long memory, used, reserved, bar1;
    long long utilization, memory_utilization;
    long long temperature, slowdown_temperature, shutdown_temperature;
    long long power, power_limit, energy, fan, pstate;
    long long clock_graphics, clock_sm, clock_memory, clock_video, clock_max;
    long long throttle;
    long long ecc, ecc_corrected, ecc_uncorrected, ecc_corrected_ever, ecc_uncorrected_ever;
    long long remapped_pending, remapped_failed;
    long long recovery_action;
    long long mig_mode, mig_private, isolated, numa, pcie_switch, pcie_gen, pcie_width, pcie_gen_max, pcie_width_max, major, minor;
    int mig_count, process_count, xid_count, failure_count, link_count;
    struct mig migs[MAX_MIGS];
    struct process processes[MAX_PROCESSES];
    struct xid xids[MAX_XIDS];
    struct failure failures[MAX_ERRORS];
    char links[MAX_LINKS][UUID_SIZE];
};

struct system {
    bool loaded; /* there is a driver: the file exists */
    bool hang;
    char driver[80], nvml[80];
    long long cuda;
    int gpu_count;
};

struct state {
    struct system system;
    struct gpu gpus[MAX_GPUS];
};

/* The state as the file has it now. Hold the lock while looking at it. */
void state_lock(void);
void state_unlock(void);
const struct state *state_now(void);

/* Whether the process still holds its memory, as seen by the caller's process table. */
bool process_present(const struct process *process);

#endif
