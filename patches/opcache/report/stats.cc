#include "report/stats.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "report/plain_numbers.h"
#include "settings/options.h"
#include "version.h"

namespace opcache {

namespace {

uint64_t g_start_ticks;
uint64_t g_start_ns;

uint64_t now_ns() {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

// Appends to a buffer that may be too small, and keeps counting what it would have needed.
class Writer {
 public:
  Writer(char *buffer, size_t size) : buffer_(buffer), size_(size), needed_(0) {
    if (size > 0) buffer[0] = '\0';
  }
  size_t needed() const { return needed_; }

  void text(const char *format, ...) __attribute__((format(printf, 2, 3))) {
    va_list args;
    va_start(args, format);
    const size_t room = needed_ < size_ ? size_ - needed_ : 0;
    const int n = vsnprintf(room > 0 ? buffer_ + needed_ : nullptr, room, format, args);
    va_end(args);
    if (n > 0) needed_ += static_cast<size_t>(n);
  }

  // A number by its name, after what separates it from the one before.
  void member(const char *separator, const char *name, uint64_t n) {
    text("%s\"%s\": %llu", separator, name, static_cast<unsigned long long>(n));
  }

  // The scope is the user's text: the one string here that could hold a quote.
  void quoted(const char *s) {
    text("\"");
    for (; *s != '\0'; ++s) {
      if (*s == '"' || *s == '\\') {
        text("\\%c", *s);
      } else if (static_cast<unsigned char>(*s) < 0x20) {
        text("\\u%04x", *s);
      } else {
        text("%c", *s);
      }
    }
    text("\"");
  }

 private:
  char *buffer_;
  size_t size_;
  size_t needed_;
};

// The report's names, in the order of OpField; ticks become nanoseconds on the way out.
const char *const kShadowNames[kShadowFieldCount] = {"descriptors", "executions", "mismatches",
                                                     "skipped"};
const char *const kFieldNames[kOpFieldCount] = {
    "primitives_avoided", "primitives_created", "descriptors_avoided", "descriptors_created",
    "evictions",          "create_ns",          "destroy_ns",          "avoided_ns",
};

struct OpReport {
  uint64_t fields[kOpFieldCount];
};

OpReport report(const Counter (&counters)[kOpFieldCount], double scale) {
  OpReport r;
  for (int i = 0; i < kOpFieldCount; ++i) {
    const uint64_t n = counters[i].get();
    r.fields[i] = i < kCreateTicks ? n : static_cast<uint64_t>(scale * static_cast<double>(n));
  }
  return r;
}

void write_op(Writer *w, const OpReport &r) {
  for (int i = 0; i < kOpFieldCount; ++i) {
    w->member(i > 0 ? ", " : "", kFieldNames[i], r.fields[i]);
  }
}

}  // namespace

const char *bypass_name(Bypass reason) {
  static const char *const kNames[kBypassCount] = {
      "unknown_kind",  "unknown_description", "key_too_large", "input_not_memory",
      "padded_output", "other_team",          "out_of_memory", "trial"};
  return kNames[reason];
}

// A Counters is nothing but Counters one after the other.
template <class Change>
void Counters::change(const Counters *other, const Change &change) {
  static_assert(sizeof(Counters) % sizeof(Counter) == 0, "something else is in there");
  Counter *const to = &ops[0][0];
  const Counter *const from = other != nullptr ? &other->ops[0][0] : to;
  for (size_t i = 0; i < sizeof(Counters) / sizeof(Counter); ++i) change(&to[i], from[i].get());
}

void Counters::add(const Counters &other) {
  change(&other, [](Counter *counter, uint64_t n) { counter->add(n); });
}

void Counters::subtract(const Counters &other) {
  change(&other, [](Counter *counter, uint64_t n) { counter->subtract(n); });
}

void Counters::clear() {
  change(nullptr, [](Counter *counter, uint64_t) { counter->set(0); });
}

uint64_t g_clock_ticks = 0;

void start_clock() {
  g_start_ticks = ticks();
  g_start_ns = now_ns();
  for (int i = 0; i < 64; ++i) {
    const uint64_t start = ticks();
    const uint64_t elapsed = ticks() - start;
    if (i == 0 || elapsed < g_clock_ticks) g_clock_ticks = elapsed;
  }
}

double ns_per_tick() {
  const uint64_t elapsed_ticks = ticks() - g_start_ticks;
  const uint64_t elapsed_ns = now_ns() - g_start_ns;
  return elapsed_ticks == 0 ? 0.0
                            : static_cast<double>(elapsed_ns) / static_cast<double>(elapsed_ticks);
}

size_t write_json(char *buffer, size_t size, const Identity &identity, const Counters &counters,
                  const Population &population) {
  Writer w(buffer, size);
  const double scale = ns_per_tick();
  w.text("{\"schema\": 1, \"version\": \"%s\", \"mkldnn\": \"%s\", \"build_id\": \"%s\", ",
         kVersion, identity.mkldnn, identity.build_id);
  w.text("\"recognised\": %s, \"active\": %s, \"scope\": ", identity.recognised ? "true" : "false",
         identity.active ? "true" : "false");
  w.quoted(identity.scope);
  w.text(", \"capacity\": %zu, \"threads\": %llu,\n \"operators\": {", identity.capacity,
         static_cast<unsigned long long>(population.threads));
  OpReport total = {};
  bool first = true;
  for (int i = 0; i < kOpCount; ++i) {
    const OpReport r = report(counters.ops[i], scale);
    uint64_t any = 0;
    for (int j = 0; j < kOpFieldCount; ++j) {
      total.fields[j] += r.fields[j];
      any |= r.fields[j];
    }
    if (any == 0) continue;
    w.text("%s\n  \"%s\": {", first ? "" : ",", op_name(static_cast<Op>(i)));
    write_op(&w, r);
    w.text("}");
    first = false;
  }
  w.text("},\n \"bypasses\": {");
  first = true;
  for (int i = 0; i < kBypassCount; ++i) {
    const uint64_t n = counters.bypasses[i].get();
    if (n == 0) continue;
    w.member(first ? "" : ", ", bypass_name(static_cast<Bypass>(i)), n);
    first = false;
  }
  {
    const PlainNumbers plain;
    w.text("},\n \"shadow\": {\"rate\": %g", identity.shadow_rate);
  }
  for (int i = 0; i < kShadowFieldCount; ++i) {
    w.member(", ", kShadowNames[i], counters.shadow[i].get());
  }
  w.text("},\n \"memory\": ");
  if (identity.memory == kNoMemoryBound) {
    w.text("null");
  } else {
    w.member("{", "bound_bytes", identity.memory);
    w.text(", \"measured\": %s", identity.metered ? "true" : "false");
    w.member(", ", "idle_bytes", population.idle_bytes);
    w.member(", ", "descriptor_bytes", population.descriptor_bytes);
    w.member(", ", "live_bytes", population.live_bytes);
    w.member(", ", "evictions", counters.memory_evictions.get());
    w.text("}");
  }
  w.text(",\n \"estimate\": ");
  if (identity.memory != kNoMemoryBound) {
    w.text("null");
  } else {
    w.member("{", "bound_bytes", identity.estimate == kNoMemoryBound ? 0 : identity.estimate);
    w.member(", ", "idle_bytes", population.idle_primitive_bytes);
    w.member(", ", "evictions", counters.estimate_evictions.get());
    w.text("}");
  }
  w.text(",\n \"totals\": {");
  write_op(&w, total);
  const double cache_ns = scale * static_cast<double>(counters.cache_ticks.get());
  w.member(", ", "cache_ns", static_cast<uint64_t>(cache_ns));
  w.member(", ", "live_primitives", population.live_primitives);
  w.member(", ", "idle_primitives", population.idle_primitives);
  w.member(", ", "descriptors", population.descriptors);
  w.text("}}\n");
  return w.needed();
}

}  // namespace opcache
