// A benchmark that went wrong has no result: one line on stderr, exit code 1, nothing on stdout.
#ifndef OPCACHE_MICROBENCH_FAIL_H_
#define OPCACHE_MICROBENCH_FAIL_H_

#include <mkldnn_types.h>

namespace microbench {

[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

inline void ok(mkldnn_status_t status, const char *call) {
  if (status != mkldnn_success) {
    fail("%s: expected status 0, found %d", call, static_cast<int>(status));
  }
}

}  // namespace microbench

#endif  // OPCACHE_MICROBENCH_FAIL_H_
