// Primitives, and the memory objects that they are executed with: of MKL-DNN 1.0, where these come
// as arguments of each execution. A part of workload.h.
#pragma once

#include <vector>

#include "workload.h"

namespace workload {

struct Primitive : Owned<mkldnn_primitive_t, mkldnn_primitive_destroy> {
  Primitive() {}
  explicit Primitive(const_mkldnn_primitive_desc_t pd) {
    CHECK_OK(mkldnn_primitive_create(&handle, pd));
    REQUIRE(handle != nullptr);
  }
};

struct Memory : Owned<mkldnn_memory_t, mkldnn_memory_destroy> {
  Memory(mkldnn_engine_t engine, void *data) {
    const mkldnn_memory_desc_t md = line(1);
    CHECK_OK(mkldnn_memory_create(&handle, &md, engine, data));
  }
  void point_to(void *data) { CHECK_OK(mkldnn_memory_set_data_handle(handle, data)); }
};

struct Stream : Owned<mkldnn_stream_t, mkldnn_stream_destroy> {
  explicit Stream(mkldnn_engine_t engine) { CHECK_OK(mkldnn_stream_create(&handle, engine, 0)); }
};

// A primitive and memory objects to execute it with, whose data are at buffer(first),
// buffer(first + 1) ... inputs first.
struct Bound : Primitive {
  Bound(mkldnn_engine_t its_engine, const_mkldnn_primitive_desc_t pd, int first_buffer)
      : Primitive(pd), first(first_buffer), engine(its_engine) {
    for (const mkldnn_query_t what :
         {mkldnn_query_num_of_inputs_s32, mkldnn_query_num_of_outputs_s32}) {
      counts.push_back(mkldnn_primitive_desc_query_s32(pd, what, 0));
      for (int i = 0; i < counts.back(); ++i) {
        const int n = static_cast<int>(memories.size());
        memories.emplace_back(engine, buffer(first + n));
        arguments.push_back({n, memories.back()});
      }
    }
  }
  Bound(Bound &&) = default;
  ~Bound() { reset(); }
  void execute() {
    const Stream stream(engine);
    CHECK_OK(mkldnn_primitive_execute(handle, stream, static_cast<int>(arguments.size()),
                                      arguments.data()));
    CHECK_OK(mkldnn_stream_wait(stream));
  }
  // All of its data, to buffer(to) and on.
  void move_to(int to) {
    for (Memory &memory : memories) memory.point_to(buffer(to++));
  }
  // Executes and checks the log: its own data, and the content if not 0.
  void run(uint64_t expected = 0) {
    const long before = fake_executions();
    execute();
    CHECK_EQ(fake_executions(), before + 1);
    const FakeExecution e = last_execution();
    CHECK_EQ(e.inputs, counts[0]);
    CHECK_EQ(e.outputs, counts[1]);
    for (int i = 0; i < e.inputs + e.outputs; ++i) CHECK_EQ(e.data[i], buffer(first + i));
    if (expected != 0) CHECK_EQ(e.content, expected);
  }

  std::vector<Memory> memories;
  std::vector<mkldnn_exec_arg_t> arguments;
  std::vector<int> counts;  // of inputs and outputs
  int first;
  mkldnn_engine_t engine;
};

}  // namespace workload
