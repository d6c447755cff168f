// What every exported function of the fake opens with.
#pragma once

#include "fake_state.h"

// Locks and counts the call; `injected`: mkldnn_success, or the failure that a test asked for.
#define FAKE_BEGIN(name)                \
  fake::State &s = fake::State::get();  \
  const fake::Lock lock(s.mutex);       \
  static const char function[] = #name; \
  const mkldnn_status_t injected = s.enter(function)

// Returns that failure.
#define FAKE_ENTER(name, ...) \
  FAKE_BEGIN(name);           \
  if (injected != mkldnn_success) return __VA_ARGS__

// An exported function that enters, does what follows its arguments, and succeeds.
#define FAKE_FUNCTION(name, arguments, ...) \
  Status mkldnn_##name arguments {          \
    FAKE_ENTER(name, injected);             \
    __VA_ARGS__;                            \
    return mkldnn_success;                  \
  }

// A destruction happens also when it is to fail. `check`: of a handle.
#define FAKE_DESTROY(name, Handle, check, may_be_null)                               \
  Status mkldnn_##name(Handle handle) {                                              \
    FAKE_BEGIN(name);                                                                \
    auto *const object = handle == nullptr && may_be_null ? nullptr : check(handle); \
    if (object != nullptr) fake::dispose(object);                                    \
    return injected;                                                                 \
  }

// The live object behind a handle; nullptr, and a misuse, when there is none.
#define FAKE_CHECK(T, handle, a, b) s.check<T>(function, handle, a, b)
#define FAKE_DESCRIPTOR(h) FAKE_CHECK(fake::Descriptor, h, kFakeDescriptor, kFakeMemoryDescriptor)
#define FAKE_OPERATION(h) FAKE_CHECK(fake::Descriptor, h, kFakeDescriptor, kFakeDescriptor)
#define FAKE_MEMORY_DESCRIPTOR(h) \
  FAKE_CHECK(fake::Descriptor, h, kFakeMemoryDescriptor, kFakeMemoryDescriptor)
#define FAKE_PRIMITIVE(h) FAKE_CHECK(fake::Primitive, h, kFakePrimitive, kFakeMemory)
#define FAKE_ATTR(h) FAKE_CHECK(fake::Attr, h, kFakeAttr, kFakeAttr)
#define FAKE_POST_OPS(h) FAKE_CHECK(fake::PostOps, h, kFakePostOps, kFakePostOps)
#define FAKE_ENGINE(h) FAKE_CHECK(fake::Engine, h, kFakeEngine, kFakeEngine)
#define FAKE_ITERATOR(h) FAKE_CHECK(fake::Iterator, h, kFakeIterator, kFakeIterator)
#define FAKE_STREAM(h) FAKE_CHECK(fake::Stream, h, kFakeStream, kFakeStream)
// The same by one of these, where nullptr is no misuse.
#define FAKE_GIVEN(check, handle) ((handle) == nullptr ? nullptr : check(handle))
// One that there must be.
#define FAKE_NEED(name, object) \
  auto *const name = object;    \
  if (name == nullptr) return mkldnn_invalid_arguments

namespace fake {

// MKL-DNN's own types, by shorter names.
typedef mkldnn_status_t Status;
typedef mkldnn_primitive_desc_t Pd;
typedef const_mkldnn_primitive_desc_t ConstPd;
typedef const_mkldnn_primitive_attr_t ConstAttr;
typedef const mkldnn_memory_desc_t Md;
typedef mkldnn_prop_kind_t Prop;
typedef mkldnn_alg_kind_t Alg;

// Hands out an object.
template <class Handle, class Object>
Status give(Handle *result, Object *object) {
  *result =
      reinterpret_cast<Handle>(const_cast<typename std::remove_const<Object>::type *>(object));
  return mkldnn_success;
}

template <class T>
void dispose(T *object) {
  State::get().destroy(object);
}
inline void dispose(Descriptor *d) { destroy(d); }
inline void dispose(Primitive *p) {
  uncount_scratchpad(*p);
  destroy(p->descriptor);
  State::get().destroy(p);
}

#ifndef API1
inline bool is_memory(const Descriptor &d) {
  return d.kind == mkldnn_memory || d.kind == mkldnn_view;
}
#endif
// One of this, without data.
inline FakeExecution execution_of(const Descriptor &d) {
  return {d.content, d.kind, d.inputs, d.outputs, {}};
}

}  // namespace fake
