// Calls with wrong arguments, each with the status that MKL-DNN has for it.
#pragma once

#include <functional>
#include <vector>

#include "api.h"
#include "operation.h"

// What the calls would hand out; all stays nullptr.
struct WronglyMade {
  mkldnn_primitive_desc_t pd = nullptr;
  mkldnn_primitive_desc_iterator_t it = nullptr;
  mkldnn_primitive_t primitive = nullptr;
  mkldnn_stream_t stream = nullptr;
  void *data = nullptr;
  bool none() const { return !pd && !it && !primitive && !stream && !data; }
};

typedef std::pair<mkldnn_status_t, std::function<mkldnn_status_t()>> WrongCall;

// They read their arguments when they are called.
inline std::vector<WrongCall> wrong_calls(const api::Api &c, mkldnn_engine_t engine,
                                          const_mkldnn_primitive_desc_t pd,
                                          const operation::OpDesc &op,
                                          const mkldnn_memory_desc_t &md, WronglyMade &made) {
  static const float one = 1.0f;
#ifndef API1
  static const_mkldnn_primitive_desc_t none[] = {nullptr};
  mkldnn_memory_desc_t any = md;
  any.format = mkldnn_any;
#endif
#define CALL(status, ...)                                      \
  WrongCall {                                                  \
    status, [=, &c, &op, &md, &made] { return c.__VA_ARGS__; } \
  }
#define WRONG(...) CALL(mkldnn_invalid_arguments, __VA_ARGS__)
#define HARMLESS(...) CALL(mkldnn_success, __VA_ARGS__)
#ifdef API1
  // Where MKL-DNN 1.0 looks at its arguments at all.
  return {WRONG(primitive_desc_clone(nullptr, pd)),
          WRONG(primitive_desc_clone(&made.pd, nullptr)),
          WRONG(primitive_create(nullptr, pd)),
          WRONG(primitive_create(&made.primitive, nullptr)),
          WRONG(primitive_execute(nullptr, made.stream, 0, nullptr)),
          WRONG(primitive_desc_iterator_next(nullptr)),
          WRONG(reorder_primitive_desc_create(nullptr, &md, engine, &md, engine, nullptr)),
          WRONG(reorder_primitive_desc_create(&made.pd, nullptr, engine, &md, engine, nullptr)),
          WRONG(reorder_primitive_desc_create(&made.pd, &md, nullptr, &md, engine, nullptr)),
          WRONG(reorder_primitive_desc_create(&made.pd, &md, engine, nullptr, engine, nullptr)),
          WRONG(reorder_primitive_desc_create(&made.pd, &md, engine, &md, nullptr, nullptr)),
          WRONG(sum_primitive_desc_create(nullptr, &md, 1, &one, &md, nullptr, engine)),
          WRONG(sum_primitive_desc_create(&made.pd, &md, 0, &one, &md, nullptr, engine)),
          WRONG(sum_primitive_desc_create(&made.pd, &md, 1, nullptr, &md, nullptr, engine)),
          WRONG(sum_primitive_desc_create(&made.pd, &md, 1, &one, nullptr, nullptr, engine)),
          WRONG(concat_primitive_desc_create(nullptr, &md, 1, 0, &md, nullptr, engine)),
          WRONG(concat_primitive_desc_create(&made.pd, &md, -1, 0, &md, nullptr, engine)),
          WRONG(concat_primitive_desc_create(&made.pd, &md, 1, 0, nullptr, nullptr, engine)),
          HARMLESS(primitive_desc_iterator_destroy(nullptr)),
          HARMLESS(primitive_desc_destroy(nullptr)),
          HARMLESS(primitive_destroy(nullptr))};
#else
  return {WRONG(primitive_desc_create(nullptr, &op, engine, nullptr)),
          WRONG(primitive_desc_create(&made.pd, nullptr, engine, nullptr)),
          WRONG(primitive_desc_create(&made.pd, &op, nullptr, nullptr)),
          WRONG(primitive_desc_create_v2(nullptr, &op, nullptr, engine, nullptr)),
          WRONG(primitive_desc_create_v2(&made.pd, nullptr, nullptr, engine, nullptr)),
          WRONG(primitive_desc_create_v2(&made.pd, &op, nullptr, nullptr, nullptr)),
          WRONG(primitive_desc_clone(nullptr, pd)),
          WRONG(primitive_desc_clone(&made.pd, nullptr)),
          WRONG(primitive_create(nullptr, pd, nullptr, nullptr)),
          WRONG(primitive_create(&made.primitive, nullptr, nullptr, nullptr)),
          WRONG(memory_primitive_desc_create(&made.pd, &any, engine)),
          WRONG(memory_primitive_desc_create(&made.pd, nullptr, engine)),
          WRONG(memory_primitive_desc_create(nullptr, &md, engine)),
          WRONG(memory_primitive_desc_create(&made.pd, &md, nullptr)),
          WRONG(stream_create(&made.stream, mkldnn_any_stream)),
          WRONG(stream_create(nullptr, mkldnn_eager)),
          WRONG(stream_submit(nullptr, 0, nullptr, nullptr)),
          WRONG(stream_wait(nullptr, 1, nullptr)),
          WRONG(stream_rerun(nullptr, nullptr)),
          WRONG(primitive_desc_iterator_create(nullptr, &op, engine, nullptr)),
          WRONG(primitive_desc_iterator_create(&made.it, nullptr, engine, nullptr)),
          WRONG(primitive_desc_iterator_next(nullptr)),
          WRONG(reorder_primitive_desc_create(&made.pd, nullptr, pd)),
          WRONG(sum_primitive_desc_create(&made.pd, nullptr, 0, &one, none)),
          WRONG(sum_primitive_desc_create(&made.pd, nullptr, 1, nullptr, none)),
          WRONG(sum_primitive_desc_create(&made.pd, nullptr, 1, &one, none)),
          WRONG(concat_primitive_desc_create(&made.pd, nullptr, -1, 0, none)),
          WRONG(concat_primitive_desc_create(&made.pd, nullptr, 1, 0, none)),
          WRONG(concat_primitive_desc_create(&made.pd, nullptr, 1, 0, nullptr)),
          WRONG(memory_set_data_handle(nullptr, nullptr)),
          HARMLESS(memory_get_data_handle(nullptr, &made.data)),
          HARMLESS(primitive_desc_iterator_destroy(nullptr)),
          HARMLESS(primitive_desc_destroy(nullptr)),
          HARMLESS(primitive_destroy(nullptr))};
#endif
#undef CALL
#undef WRONG
#undef HARMLESS
}
