#include "shared/shadow.h"

#include <stdio.h>
#include <string.h>

#include "in_tree.h"
#include "report/message.h"

namespace opcache {

namespace {

const uint64_t kReports = 20;  // mismatches that are written out; all are counted

std::atomic<uint64_t> g_reported(0);

}  // namespace

bool shadow_due() {
  static __thread uint64_t state OPCACHE_TLS_MODEL = 0;
  state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
  return static_cast<double>(state >> 32) < options().shadow_rate * 4294967296.0;
}

ShadowDescriptor *new_shadow(mkldnn_primitive_desc *pd, const char *text) {
  void *const memory = malloc(sizeof(ShadowDescriptor) + strlen(text));
  ShadowDescriptor *const shadow = static_cast<ShadowDescriptor *>(memory);
  if (shadow == nullptr) return nullptr;
  shadow->pd = pd;
  strcpy(shadow->text, text);
  return shadow;
}

ShadowDescriptor *take_shadow(Descriptor *d) {
  ShadowDescriptor *const shadow = d->shadow;
  d->shadow = nullptr;
  return shadow;
}

void mismatch(ThreadCache *cache, const Descriptor *d, const char *what, const char *text) {
  cache->counters().shadow[kShadowMismatches].add(1);
  if (g_reported.fetch_add(1, std::memory_order_relaxed) >= kReports) return;
  message("shadow: %s: %s; asked for: %s", op_name(op_of(d)), what, text);
}

Comparison::~Comparison() {
  for (int i = 0; i < count_; ++i) {
    free(outputs_[i].before);
    free(outputs_[i].fresh);
  }
}

bool Comparison::save(void *data, size_t bytes) {
  if (count_ == kMost || data == nullptr || bytes == 0) return false;
  const Output o = {data, bytes, static_cast<char *>(malloc(bytes + 1)),
                    static_cast<char *>(malloc(bytes + 1))};
  outputs_[count_++] = o;
  if (o.before == nullptr || o.fresh == nullptr) return false;
  memcpy(o.before, data, bytes);
  return true;
}

void Comparison::undo() {
  for (int i = 0; i < count_; ++i) memcpy(outputs_[i].fresh, outputs_[i].data, outputs_[i].bytes);
  for (int i = 0; i < count_; ++i) memcpy(outputs_[i].data, outputs_[i].before, outputs_[i].bytes);
}

bool Comparison::differs(char *what, size_t size) const {
  for (int i = 0; i < count_; ++i) {
    const Output &o = outputs_[i];
    if (memcmp(o.data, o.fresh, o.bytes) == 0) continue;
    const unsigned char *a = static_cast<const unsigned char *>(o.data);
    const unsigned char *b = reinterpret_cast<const unsigned char *>(o.fresh);
    size_t first = 0, different = 0;
    for (size_t j = o.bytes; j-- > 0;) {
      if (a[j] != b[j]) {
        first = j;
        ++different;
      }
    }
    float values[2] = {0, 0};
    first -= first % sizeof(float);
    if (first + sizeof(float) <= o.bytes) {
      memcpy(&values[0], a + first, sizeof(float));
      memcpy(&values[1], b + first, sizeof(float));
    }
    snprintf(what, size,
             "%zu of %zu bytes of output %d differ, first at byte %zu: as floats %g from the "
             "cache, %g created now",
             different, o.bytes, i, first, static_cast<double>(values[0]),
             static_cast<double>(values[1]));
    return true;
  }
  return false;
}

}  // namespace opcache
