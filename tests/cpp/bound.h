// Primitives over memory objects, and the streams that execute them: of MKL-DNN 0.x, where a
// primitive is bound to its memory objects from its creation on. A part of workload.h.
#pragma once

#include <vector>

#include "workload.h"

namespace workload {

struct Primitive : Owned<mkldnn_primitive_t, mkldnn_primitive_destroy> {
  Primitive() {}
  // Over memory objects of others.
  Primitive(const_mkldnn_primitive_desc_t pd, const std::vector<mkldnn_primitive_at_t> &inputs,
            std::vector<const_mkldnn_primitive_t> outputs = {}) {
    CHECK_OK(mkldnn_primitive_create(&handle, pd, inputs.data(), outputs.data()));
    REQUIRE(handle != nullptr);
  }
};

struct Memory : Primitive {
  Memory(mkldnn_engine_t engine, void *data) : Memory(engine, line(1), data) {}
  Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md, void *data) : Memory(engine, md) {
    point_to(data);
  }
  // Pointing nowhere.
  Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md) {
    const Described pd(engine, md);
    CHECK_OK(mkldnn_primitive_create(&handle, pd, nullptr, nullptr));
  }
  void point_to(void *data) { CHECK_OK(mkldnn_memory_set_data_handle(handle, data)); }
  void *data() const {
    void *data = nullptr;
    CHECK_OK(mkldnn_memory_get_data_handle(handle, &data));
    return data;
  }
};

struct Stream : Owned<mkldnn_stream_t, mkldnn_stream_destroy> {
  explicit Stream(mkldnn_stream_kind_t kind) { CHECK_OK(mkldnn_stream_create(&handle, kind)); }
  mkldnn_status_t try_submit(mkldnn_primitive_t p) {
    return mkldnn_stream_submit(handle, 1, &p, nullptr);
  }
  void submit(mkldnn_primitive_t p) { CHECK_OK(try_submit(p)); }
  void wait() { CHECK_OK(mkldnn_stream_wait(handle, 1, nullptr)); }
  void rerun() { CHECK_OK(mkldnn_stream_rerun(handle, nullptr)); }
};

// On an eager stream of its own.
inline void execute(mkldnn_primitive_t primitive) {
  Stream stream(mkldnn_eager);
  stream.submit(primitive);
  stream.wait();
}

// A primitive over memory objects of its own, whose data are at buffer(first), buffer(first + 1)
// ... inputs first.
struct Bound : Primitive {
  Bound(mkldnn_engine_t engine, const_mkldnn_primitive_desc_t pd, int first_buffer)
      : first(first_buffer) {
    const int n_inputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_inputs_s32, 0);
    const int n_outputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_outputs_s32, 0);
    for (int i = 0; i < n_inputs + n_outputs; ++i) {
      memories.emplace_back(engine, buffer(first + i));
      if (i < n_inputs) {
        inputs.push_back({memories.back(), 0});
      } else {
        outputs.push_back(memories.back());
      }
    }
    CHECK_OK(mkldnn_primitive_create(&handle, pd, inputs.data(), outputs.data()));
    REQUIRE(handle != nullptr);
  }
  Bound(Bound &&) = default;
  ~Bound() { reset(); }  // before its memory objects
  void execute() { workload::execute(handle); }
  // All of its data, to buffer(to) and on.
  void move_to(int to) {
    for (Memory &memory : memories) memory.point_to(buffer(to++));
  }
  // Executes and checks the log: its own data, and the content if not 0.
  void run(uint64_t expected = 0) {
    const long before = fake_executions();
    execute();
    CHECK_EQ(fake_executions(), before + 1);
    check_log(first, expected);
  }
  void check_log(int first_buffer, uint64_t expected = 0,
                 const FakeExecution &e = last_execution()) const {
    CHECK_EQ(e.inputs, inputs.size());
    CHECK_EQ(e.outputs, outputs.size());
    for (int i = 0; i < e.inputs + e.outputs; ++i) CHECK_EQ(e.data[i], buffer(first_buffer + i));
    if (expected != 0) CHECK_EQ(e.content, expected);
  }

  std::vector<Memory> memories;
  std::vector<mkldnn_primitive_at_t> inputs;
  std::vector<const_mkldnn_primitive_t> outputs;
  int first;
};

}  // namespace workload
