// Preloaded, kills its process with SIGKILL at the Nth step of what it does to the files in a
// folder: KILL_AT is N, counted from when it was set, KILL_AT_UNDER the folder's absolute path. A
// step comes before each call that changes something, and in the middle of each write, half of
// which is then done. Every other call goes on untouched. Knows the C library's functions, not
// system calls: what calls the kernel by itself is not seen, so who uses it checks that steps were
// taken at all.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

const int kFiles = 4096;
bool g_under[kFiles];  // by descriptor: open in the folder
long g_steps = 0;

bool is_under(const char *path) {
  const char *const folder = getenv("KILL_AT_UNDER");
  if (folder == nullptr || path == nullptr) return false;
  const size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool is_under(int fd) { return fd >= 0 && fd < kFiles && g_under[fd]; }

bool is_next() {
  const char *const at = getenv("KILL_AT");
  return at != nullptr && ++g_steps == atol(at);
}

void step() {
  if (is_next()) kill(getpid(), SIGKILL);
}

template <class F>
F real(const char *name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

int opened(int fd, bool under) {
  if (fd >= 0 && fd < kFiles) g_under[fd] = under;
  return fd;
}

}  // namespace

extern "C" {

#define OPEN(name)                                                                            \
  int name(const char *path, int flags, ...) {                                                \
    va_list args;                                                                             \
    va_start(args, flags);                                                                    \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;      \
    va_end(args);                                                                             \
    const bool under = is_under(path);                                                        \
    if (under && (flags & (O_WRONLY | O_RDWR)) != 0) step();                                  \
    return opened(real<int (*)(const char *, int, mode_t)>(#name)(path, flags, mode), under); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                           \
  int name(int at, const char *path, int flags, ...) {                                         \
    va_list args;                                                                              \
    va_start(args, flags);                                                                     \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;       \
    va_end(args);                                                                              \
    const bool under = is_under(path) || (path[0] != '/' && is_under(at));                     \
    if (under && (flags & (O_WRONLY | O_RDWR)) != 0) step();                                   \
    return opened(real<int (*)(int, const char *, int, mode_t)>(#name)(at, path, flags, mode), \
                  under);                                                                      \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  if (fd >= 0 && fd < kFiles) g_under[fd] = false;
  return real<int (*)(int)>("close")(fd);
}

ssize_t write(int fd, const void *data, size_t size) {
  const auto original = real<ssize_t (*)(int, const void *, size_t)>("write");
  if (is_under(fd)) {
    step();
    if (is_next()) {
      if (original(fd, data, size / 2) < 0) abort();
      kill(getpid(), SIGKILL);
    }
  }
  return original(fd, data, size);
}

#define ON_FILE(name, parameters, arguments)         \
  int name parameters {                              \
    if (is_under(fd)) step();                        \
    return real<int(*) parameters>(#name) arguments; \
  }
ON_FILE(fsync, (int fd), (fd))
ON_FILE(fdatasync, (int fd), (fd))
ON_FILE(ftruncate, (int fd, off_t size), (fd, size))
ON_FILE(ftruncate64, (int fd, off64_t size), (fd, size))
ON_FILE(fchmod, (int fd, mode_t mode), (fd, mode))

#define ON_PATH(name, parameters, arguments)         \
  int name parameters {                              \
    if (is_under(path)) step();                      \
    return real<int(*) parameters>(#name) arguments; \
  }
ON_PATH(rename, (const char *path, const char *to), (path, to))
ON_PATH(unlink, (const char *path), (path))
ON_PATH(rmdir, (const char *path), (path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH(chmod, (const char *path, mode_t mode), (path, mode))

int unlinkat(int at, const char *path, int flags) {
  if (is_under(path) || is_under(at)) step();
  return real<int (*)(int, const char *, int)>("unlinkat")(at, path, flags);
}

int renameat(int at, const char *path, int to_at, const char *to) {
  if (is_under(path) || is_under(at)) step();
  return real<int (*)(int, const char *, int, const char *)>("renameat")(at, path, to_at, to);
}
}
