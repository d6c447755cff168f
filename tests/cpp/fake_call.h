// What every exported function of the fake opens with.
#ifndef OPCACHE_TESTS_FAKE_CALL_H_
#define OPCACHE_TESTS_FAKE_CALL_H_

#include "fake_state.h"

// Locks, counts the call and, when a test asked for that, returns a failure.
#define FAKE_ENTER(name, ...)                         \
  fake::State &s = fake::State::get();                \
  const fake::Lock lock(s.mutex);                     \
  static const char function[] = #name;               \
  const mkldnn_status_t injected = s.enter(function); \
  if (injected != mkldnn_success) return __VA_ARGS__

// The same for destructions, which happen all the same.
#define FAKE_ENTER_DESTROY(name)        \
  fake::State &s = fake::State::get();  \
  const fake::Lock lock(s.mutex);       \
  static const char function[] = #name; \
  const mkldnn_status_t injected = s.enter(function)

#define FAKE_CHECK(T, handle, a, b) s.check<T>(function, handle, a, b)

#endif  // OPCACHE_TESTS_FAKE_CALL_H_
