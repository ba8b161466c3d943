/* A CUDA driver and an NVML in one file, which say what the environment tells them to say. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long told(const char *name, long otherwise) {
    const char *value = getenv(name);
    return value ? atol(value) : otherwise;
}

/* cuda.h */
int cuInit(unsigned flags) {
    FILE *log = getenv("FAKE_LOG") ? fopen(getenv("FAKE_LOG"), "a") : NULL;
    if (log) { fputs("asked\n", log); fclose(log); }
    if (getenv("FAKE_CRASH")) raise(told("FAKE_CRASH", 0));
    puts("a driver that talks");
    return told("FAKE_ERROR", 0);
}
int cuDriverGetVersion(int *version) { *version = told("FAKE_CUDA", 12040); return 0; }
int cuDeviceGetCount(int *count) { *count = told("FAKE_CARDS", 1); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, length, "Fake H%d00", device + 1);
    return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 80000000000; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    long capability = told("FAKE_CAPABILITY", 90);
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : -1;
    return 0;
}
int cuDeviceGetUuid_v2(unsigned char *uuid, int device) { memset(uuid, 0x11 * (device + 1), 16); return 0; }
int cuGetErrorName(int code, const char **name) {
    *name = code == 999 ? "CUDA_ERROR_UNKNOWN" : NULL;
    return code == 999 ? 0 : 1;
}

/* nvml.h */
int nvmlInitWithFlags(unsigned flags) { return told("FAKE_NVML_ERROR", 0); }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    snprintf(version, length, "550.54.15");
    return 0;
}
static int handle;
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    const char *mig = getenv("FAKE_MIG");
    if (strncmp(uuid, mig ? "MIG-11111111-1111-" : "GPU-11111111-1111-", 18)) return 6;
    *device = &handle;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *info) {
    info[0] = 80000000000; info[1] = 70000000000; info[2] = 10000000000; /* total, free, used */
    return 0;
}
