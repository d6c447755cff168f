// Shadow mode (MKLDNN_OPCACHE_SHADOW): a share of the hits is checked against what the real library
// creates from the same description without a cache. The descriptor just created must have the same
// implementation and layouts, and a primitive of it, run over the caller's own memory objects, must
// compute the same bits. It reports and counts, and never corrects: the program gets what the cache
// gave. Costs a creation per checked hit and every execution twice.
// Shared by both interfaces; knows no header of MKL-DNN. Of an interface, differ() and
// create_shadow() are used.
#ifndef OPCACHE_SHARED_SHADOW_H_
#define OPCACHE_SHARED_SHADOW_H_

#include <stdlib.h>

#include "cache/thread_cache.h"
#include "settings/options.h"

namespace opcache {

inline bool shadowing() { return options().shadow_rate > 0; }

// Whether the next hit on this thread is one to check: by chance, as often as the rate says. The
// same hits in every run; not every so-and-so-many, for hits come in patterns.
bool shadow_due();

// What the latest checked hit on a descriptor asked for. It stands in the descriptor's record until
// a primitive of it is compared, and belongs to that record's owner.
struct ShadowDescriptor {
  mkldnn_primitive_desc *pd;  // nullptr when that hit was not to be checked
  char text[1];
};

// What a live cached primitive is compared with.
struct ShadowPrimitive {
  mkldnn_primitive *real;
  ShadowDescriptor *descriptor;
};

// nullptr when memory is short.
ShadowDescriptor *new_shadow(mkldnn_primitive_desc *pd, const char *text);
// The descriptor's shadow, which becomes the caller's; nullptr when it has none.
ShadowDescriptor *take_shadow(Descriptor *d);
// Counts a mismatch, and writes it out.
void mismatch(ThreadCache *cache, const Descriptor *d, const char *what, const char *text);

template <class Real>
void free_shadow(const Real &r, ShadowDescriptor *shadow) {
  if (shadow->pd != nullptr) r.primitive_desc_destroy(shadow->pd);
  free(shadow);
}

template <class Real>
void free_shadow(const Real &r, ShadowPrimitive *shadow) {
  r.primitive_destroy(shadow->real);
  free_shadow(r, shadow->descriptor);
  free(shadow);
}

// After a hit on `d` by a description that prints as `text`. `created`, which is taken over, is
// what the real library created from that description with `status`; nullptr with a success: not
// asked. A success is 0, and memory that is short is 1, in both interfaces.
template <class Real>
void shadow_descriptor(const Real &r, ThreadCache *cache, Descriptor *d, int status,
                       mkldnn_primitive_desc *created, const char *text) {
  ShadowDescriptor *const old = take_shadow(d);
  if (old != nullptr) free_shadow(r, old);
  char what[256] = "it is from the cache, but cannot be created now";
  // When memory is short nothing is wrong with the cache; this hit goes unchecked.
  bool wrong = status != 0 && status != 1;
  if (created != nullptr) {
    wrong = differ(r, d->real, created, d, what, sizeof(what));
    cache->counters().shadow[kShadowDescriptors].add(1);
  }
  if (wrong) mismatch(cache, d, what, text);
  // A primitive of it could not run over the caller's memory objects, which fit the cached one.
  if (!wrong && op_of(d) != kMemory) d->shadow = new_shadow(created, text);
  if (d->shadow == nullptr && created != nullptr) r.primitive_desc_destroy(created);
}

// After a hit that made `p` live and bound: gives it a shadow if this hit is one to check.
template <class Real>
void shadow_primitive(const Real &r, ThreadCache *cache, Primitive *p) {
  if (p->memory_object) return;  // nothing to execute
  ShadowDescriptor *descriptor = take_shadow(p->descriptor);
  if (descriptor == nullptr && shadow_due()) {
    // The caller reuses its descriptor: only the primitive is in question.
    descriptor = new_shadow(nullptr, "another primitive of a descriptor that its caller kept");
    if (descriptor != nullptr && r.primitive_desc_clone(&descriptor->pd, p->real_descriptor) != 0) {
      descriptor->pd = nullptr;
    }
  }
  if (descriptor == nullptr) return;
  ShadowPrimitive *const s = descriptor->pd != nullptr
                                 ? static_cast<ShadowPrimitive *>(malloc(sizeof(ShadowPrimitive)))
                                 : nullptr;
  int status = 1;
  if (s != nullptr) {
    Busy busy(cache);
    s->descriptor = descriptor;
    status = create_shadow(r, p, descriptor->pd, &s->real);
  }
  if (status == 0) {
    p->shadow = s;
    return;
  }
  if (status != 1) {
    mismatch(cache, p->descriptor, "a primitive cannot be created now", descriptor->text);
  }
  free(s);
  free_shadow(r, descriptor);
}

// The outputs of one execution: as they were before, and as the shadow left them.
class Comparison {
 public:
  Comparison() : count_(0) {}
  ~Comparison();

  // Before the shadow runs: saves an output; false: it cannot be compared.
  bool save(void *data, size_t bytes);
  // After the shadow has run: undoes what it did.
  void undo();
  // After the cached primitive has run: says in `what` where the bits differ; false: nowhere.
  bool differs(char *what, size_t size) const;

 private:
  struct Output {
    void *data;
    size_t bytes;
    char *before;
    char *fresh;
  };
  static const int kMost = 8;

  int count_;
  Output outputs_[kMost];
};

}  // namespace opcache

#endif  // OPCACHE_SHARED_SHADOW_H_
