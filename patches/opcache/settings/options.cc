#include "settings/options.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/message.h"
#include "report/plain_numbers.h"

namespace opcache {

namespace {

const size_t kDefaultCapacity = 4096;
const size_t kDefaultTrial = 1u << 13;
const size_t kDefaultEstimate = static_cast<size_t>(1) << 30;

Options g_values;
pthread_once_t g_once = PTHREAD_ONCE_INIT;

bool copy_text(const char *name, const char *text, char *to, size_t size) {
  if (strlen(text) >= size) {
    message("%s is longer than %zu characters; not caching", name, size - 1);
    return false;
  }
  memcpy(to, text, strlen(text) + 1);
  return true;
}

bool read_scope(Options *o) {
  const char *text = environment("MKLDNN_OPCACHE");
  if (text == nullptr) text = "all";
  char bad[64];
  if (!copy_text("MKLDNN_OPCACHE", text, o->scope_text, sizeof(o->scope_text))) return false;
  if (parse_scope(text, &o->scope, bad, sizeof(bad))) return true;
  message("MKLDNN_OPCACHE: unknown word '%s' (allowed: %s); not caching", bad, kScopeWords);
  return false;
}

// A number up to `most`; `value` stays as it is when there is none.
bool read_number(const char *name, size_t most, size_t *value) {
  const char *text = environment(name);
  if (text == nullptr) return true;
  char *end = nullptr;
  errno = 0;
  const unsigned long long n = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n > most) {
    message("%s=%.60s is not a number from 0 to %zu; not caching", name, text, most);
    return false;
  }
  *value = static_cast<size_t>(n);
  return true;
}

// A number of bytes, or of the unit behind it; `value` stays as it is when there is none.
bool read_bytes(const char *name, size_t *value) {
  const char *text = environment(name);
  if (text == nullptr) return true;
  char *unit = nullptr;
  errno = 0;
  const unsigned long long n = strtoull(text, &unit, 10);
  static const char kUnits[] = "KMG";
  const char *const known = unit[0] != '\0' ? strchr(kUnits, unit[0]) : nullptr;
  const int shift = known != nullptr ? 10 * static_cast<int>(known - kUnits + 1) : 0;
  const bool ends = unit[known != nullptr ? 1 : 0] == '\0';
  if (text[0] < '0' || text[0] > '9' || !ends || errno != 0 || n > kMaxMemory >> shift) {
    message("%s=%.60s is not a number of bytes such as 1048576, 64K, 512M or 2G; not caching", name,
            text);
    return false;
  }
  *value = static_cast<size_t>(n) << shift;
  return true;
}

bool read_memory(Options *o) {
  o->memory = kNoMemoryBound;
  o->estimate = kDefaultEstimate;
  bool ok = read_bytes("MKLDNN_OPCACHE_MEMORY", &o->memory);
  ok = read_bytes("MKLDNN_OPCACHE_MEMORY_ESTIMATE", &o->estimate) && ok;
  if (o->estimate == 0) o->estimate = kNoMemoryBound;
  return ok;
}

bool read_shadow_rate(Options *o) {
  o->shadow_rate = 0;
  const char *text = environment("MKLDNN_OPCACHE_SHADOW");
  if (text == nullptr) return true;
  char *end = nullptr;
  {
    const PlainNumbers plain;
    o->shadow_rate = strtod(text, &end);
  }
  // Not all that strtod takes: no hexadecimal numbers, signs or blanks.
  const bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
                         strspn(text, "0123456789.eE+-") == strlen(text);
  if (is_number && o->shadow_rate >= 0 && o->shadow_rate <= 1) return true;
  message("MKLDNN_OPCACHE_SHADOW=%.60s is not a share from 0 to 1; not caching", text);
  o->shadow_rate = 0;
  return false;
}

void read() {
  Options *o = &g_values;
  const char *stats = environment("MKLDNN_OPCACHE_STATS");
  bool ok = stats == nullptr ||
            copy_text("MKLDNN_OPCACHE_STATS", stats, o->stats_path, sizeof(o->stats_path));
  ok = read_scope(o) && ok;
  o->capacity = kDefaultCapacity;
  ok = read_number("MKLDNN_OPCACHE_CAPACITY", kMaxCapacity, &o->capacity) && ok;
  o->trial = kDefaultTrial;
  ok = read_number("MKLDNN_OPCACHE_TRIAL", kMaxTrial, &o->trial) && ok;
  ok = read_memory(o) && ok;
  ok = read_shadow_rate(o) && ok;
  o->trace = environment("MKLDNN_OPCACHE_TRACE") != nullptr;
  if (!ok) {
    o->scope = kNoOps;
    snprintf(o->scope_text, sizeof(o->scope_text), "off");
  }
  g_options.store(o, std::memory_order_release);
}

}  // namespace

const char *environment(const char *name) {
  const char *text = secure_getenv(name);
  return text != nullptr && text[0] != '\0' ? text : nullptr;
}

std::atomic<const Options *> g_options(nullptr);

const Options &read_options() {
  pthread_once(&g_once, read);
  return g_values;
}

}  // namespace opcache
