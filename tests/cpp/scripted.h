// One script of calls as a program makes them, step by step: through the library or past it, with
// one step made to fail or none. What it returns, executes and reads is written down, so that two
// runs can be compared. A step whose handle an earlier failure left missing is skipped.
#pragma once

#include <mkldnn.h>
#include <string.h>

#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "api.h"
#include "fake_mkldnn.h"
#include "workload.h"

namespace scripted {

const int kSkipped = -1;
const int kNothing = -2;  // a function without a status returned nullptr

struct Step {
  const char *function;  // without the mkldnn_ prefix
  int status;
  std::vector<FakeExecution> executions;
};

struct Run {
  std::vector<Step> steps;
  long primitives_made;  // at the fake, those of memory not counted
};

// Before step number `step` begins, the next call of `function` is made to fail once.
struct Arm {
  size_t step;
  const char *function;
  mkldnn_status_t status;
};

using workload::buffer;
using workload::What;
using workload::Worker;

const What kKinds[] = {workload::kReluBackward, workload::kConvolutionBackwardWeights,
                       workload::kReorder, workload::kSum, workload::kConcat};

// Made before anything fails: descriptions are the program's own business.
struct Descriptions {
  mkldnn_memory_desc_t line, image, other_image;
  struct {
    operation::OpDesc forward, backward;
  } relu, weights;
};
inline Descriptions g_descriptions;

inline int inputs_of(What kind) { return kind == workload::kReorder ? 1 : 2; }
// Of the fake's weight gradient there are two: weights and bias.
inline int outputs_of(What kind) { return kind == workload::kConvolutionBackwardWeights ? 2 : 1; }
// By an operation's description, not by those of memory.
inline bool is_operation(What kind) {
  return kind == workload::kReluBackward || kind == workload::kConvolutionBackwardWeights;
}

class Script {
 public:
  Script(const api::Api &calls, mkldnn_engine_t engine, bool batched, const Arm *arm)
      : c_(calls), engine_(engine), batched_(batched), arm_(arm) {}

  std::vector<Step> run() {
    for (const What kind : kKinds) operate(kind);
    chain();
    iterate();
    cross_threads();
    return std::move(steps_);
  }

 private:
  typedef std::vector<const void *> Needs;
  struct Memories {
    std::vector<mkldnn_primitive_t> handles;
    std::vector<mkldnn_primitive_at_t> inputs;
    std::vector<const_mkldnn_primitive_t> outputs;
  };

#define STEP(function, needs, ...) step(#function, needs, [&] { return c_.function(__VA_ARGS__); })
  // Makes a call on the thread that is chosen, unless something that it needs is missing.
  template <class F>
  int step(const char *function, const Needs &needs, const F &f) {
    Step s = {function, 0, {}};
    for (const void *need : needs) {
      if (need == nullptr) s.status = kSkipped;
    }
    if (arm_ != nullptr && arm_->step == steps_.size()) {
      fake_fail(arm_->function, 1, 0, arm_->status);
    }
    const auto call = [&] {
      const long before = fake_executions();
      s.status = f();
      for (long i = before; i < fake_executions(); ++i) s.executions.push_back(fake_execution(i));
    };
    if (s.status != kSkipped) {
      if (elsewhere_) {
        worker_.run(call);
      } else {
        call();
      }
    }
    if (arm_ != nullptr && arm_->step == steps_.size()) fake_stop_failing();
    // In shadow mode, where submissions hold one primitive, its shadow ran before it.
    std::vector<FakeExecution> &e = s.executions;
    const bool shadowed = !batched_ && strcmp(function, "stream_submit") == 0 && !e.empty();
    if (shadowed && (s.status != mkldnn_success ||
                     (e.size() == 2 && memcmp(&e[0], &e[1], sizeof(e[0])) == 0))) {
      e.pop_back();
    }
    steps_.push_back(s);
    return s.status;
  }

  // Descriptors

  mkldnn_primitive_desc_t operation(const void *op_desc, mkldnn_primitive_desc_t hint,
                                    const Needs &needs = {}) {
    mkldnn_primitive_desc_t pd = nullptr;
    STEP(primitive_desc_create_v2, (Needs(needs)), &pd, op_desc, nullptr, engine_, hint);
    return pd;
  }

  mkldnn_primitive_desc_t memory_desc(const mkldnn_memory_desc_t &md) {
    mkldnn_primitive_desc_t pd = nullptr;
    STEP(memory_primitive_desc_create, (Needs{}), &pd, &md, engine_);
    return pd;
  }

  void destroy(mkldnn_primitive_desc_t pd) { STEP(primitive_desc_destroy, (Needs{pd}), pd); }

  mkldnn_primitive_desc_t describe(What kind) {
    const Descriptions &d = g_descriptions;
    if (is_operation(kind)) {
      const auto &both = kind == workload::kReluBackward ? d.relu : d.weights;
      const mkldnn_primitive_desc_t hint = operation(&both.forward, nullptr);
      const mkldnn_primitive_desc_t pd = operation(&both.backward, hint, {hint});
      destroy(hint);
      return pd;
    }
    const mkldnn_primitive_desc_t a = memory_desc(d.image);
    const mkldnn_primitive_desc_t b =
        memory_desc(kind == workload::kReorder ? d.other_image : d.image);
    const_mkldnn_primitive_desc_t both[] = {a, b};
    const float scales[] = {1.0f, 2.0f};
    mkldnn_primitive_desc_t pd = nullptr;
    if (kind == workload::kReorder) {
      STEP(reorder_primitive_desc_create_v2, (Needs{a, b}), &pd, a, b, nullptr);
    } else if (kind == workload::kSum) {
      STEP(sum_primitive_desc_create, (Needs{a, b}), &pd, nullptr, 2, scales, both);
    } else {
      STEP(concat_primitive_desc_create, (Needs{a, b}), &pd, nullptr, 2, 1, both);
    }
    destroy(a);
    destroy(b);
    return pd;
  }

  mkldnn_primitive_desc_t clone(const_mkldnn_primitive_desc_t pd) {
    mkldnn_primitive_desc_t copy = nullptr;
    STEP(primitive_desc_clone, (Needs{pd}), &copy, pd);
    return copy;
  }

  void query(const_mkldnn_primitive_desc_t pd, mkldnn_query_t what) {
    const_mkldnn_primitive_desc_t answer = nullptr;
    step("primitive_desc_query_pd", {pd}, [&] {
      answer = c_.primitive_desc_query_pd(pd, what, 0);
      return answer != nullptr ? static_cast<int>(mkldnn_success) : kNothing;
    });
    destroy(clone(answer));
  }

  // Memory and primitives

  mkldnn_primitive_t memory(void *data) {
    const mkldnn_primitive_desc_t pd = memory_desc(g_descriptions.line);
    mkldnn_primitive_t m = nullptr;
    STEP(primitive_create, (Needs{pd}), &m, pd, nullptr, nullptr);
    destroy(pd);
    point(m, data);
    return m;
  }

  void point(mkldnn_primitive_t memory, void *data) {
    STEP(memory_set_data_handle, (Needs{memory}), memory, data);
  }

  Memories memories(What kind, int first) {
    Memories m;
    for (int i = 0; i < inputs_of(kind) + outputs_of(kind); ++i) {
      m.handles.push_back(memory(buffer(first + i)));
      if (i < inputs_of(kind)) {
        m.inputs.push_back({m.handles.back(), 0});
      } else {
        m.outputs.push_back(m.handles.back());
      }
    }
    return m;
  }

  void destroy(const Memories &m) {
    for (mkldnn_primitive_t handle : m.handles) destroy(handle);
  }

  mkldnn_primitive_t create(const_mkldnn_primitive_desc_t pd, const Memories &m) {
    Needs needs = {pd};
    for (const auto &input : m.inputs) needs.push_back(input.primitive);
    for (const auto output : m.outputs) needs.push_back(output);
    std::vector<const_mkldnn_primitive_t> outputs = m.outputs;  // the function takes no constant
    mkldnn_primitive_t p = nullptr;
    STEP(primitive_create, (Needs(needs)), &p, pd, m.inputs.data(), outputs.data());
    return p;
  }

  void destroy(mkldnn_primitive_t p) { STEP(primitive_destroy, (Needs{p}), p); }

  // The answers must be the caller's own handles.
  void look_into(mkldnn_primitive_t p, const Memories &m) {
    const_mkldnn_primitive_desc_t pd = nullptr;
    const_mkldnn_primitive_t output = nullptr;
    mkldnn_primitive_at_t input = {nullptr, 0};
    STEP(primitive_get_primitive_desc, (Needs{p}), p, &pd);
    if (STEP(primitive_get_input_at, (Needs{p}), p, 0, &input) == mkldnn_success) {
      CHECK_EQ(input.primitive, m.inputs[0].primitive);
    }
    if (STEP(primitive_get_output, (Needs{p}), p, 0, &output) == mkldnn_success) {
      CHECK_EQ(output, m.outputs[0]);
    }
  }

  // Streams

  mkldnn_stream_t stream(mkldnn_stream_kind_t kind) {
    mkldnn_stream_t s = nullptr;
    STEP(stream_create, (Needs{}), &s, kind);
    return s;
  }

  void submit(mkldnn_stream_t s, std::vector<mkldnn_primitive_t> primitives) {
    const size_t at_once = batched_ ? primitives.size() : 1;
    for (size_t i = 0; i < primitives.size(); i += at_once) {
      Needs needs(primitives.begin() + static_cast<long>(i),
                  primitives.begin() + static_cast<long>(i + at_once));
      needs.push_back(s);
      STEP(stream_submit, (Needs(needs)), s, at_once, &primitives[i], nullptr);
    }
  }

  void wait(mkldnn_stream_t s) { STEP(stream_wait, (Needs{s}), s, 1, nullptr); }
  void rerun(mkldnn_stream_t s) { STEP(stream_rerun, (Needs{s}), s, nullptr); }
  void destroy(mkldnn_stream_t s) { STEP(stream_destroy, (Needs{s}), s); }

  // The acts

  // An operator twice at the same time, each time in every kind of stream, with data that moves.
  void operate(What kind) {
    const mkldnn_primitive_desc_t pd = describe(kind);
    const mkldnn_primitive_desc_t copy = clone(pd);
    query(pd, is_operation(kind) ? mkldnn_query_src_pd : mkldnn_query_output_pd);
    for (int round = 0; round < 2; ++round) {
      const int base = 100 * round;
      const Memories m = memories(kind, base), n = memories(kind, base + 20);
      const mkldnn_primitive_t p = create(pd, m), q = create(copy, n);
      look_into(p, m);
      const mkldnn_stream_t eager = stream(mkldnn_eager);
      submit(eager, {p});
      point(m.handles[0], buffer(base + 40));
      // More than a stream remembers without memory of its own.
      submit(eager, {q, p, q, p, q, p, q, p});
      wait(eager);
      point(n.handles[0], buffer(base + 50));
      rerun(eager);
      destroy(eager);
      const mkldnn_stream_t lazy = stream(mkldnn_lazy);
      submit(lazy, {p, q});
      point(m.handles.back(), buffer(base + 60));
      wait(lazy);
      point(n.handles.back(), buffer(base + 70));
      rerun(lazy);
      destroy(lazy);
      destroy(p);
      destroy(q);
      destroy(m);
      destroy(n);
    }
    destroy(copy);
    destroy(pd);
  }

  // A sum that reads what a gradient wrote, by the gradient's name.
  void chain() {
    const mkldnn_primitive_desc_t first = describe(workload::kReluBackward),
                                  second = describe(workload::kSum);
    for (int round = 0; round < 2; ++round) {
      const Memories m = memories(workload::kReluBackward, 200);
      Memories n = memories(workload::kSum, 220);
      const mkldnn_primitive_t p = create(first, m);
      n.inputs[1] = {p, 0};
      const mkldnn_primitive_t q = create(second, n);
      const mkldnn_stream_t eager = stream(mkldnn_eager);
      submit(eager, {p, q});
      point(m.handles.back(), buffer(240));
      submit(eager, {q});
      wait(eager);
      destroy(eager);
      destroy(q);
      destroy(p);
      destroy(n);
      destroy(m);
    }
    destroy(second);
    destroy(first);
  }

  mkldnn_primitive_desc_t fetch(mkldnn_primitive_desc_iterator_t it) {
    mkldnn_primitive_desc_t pd = nullptr;
    step("primitive_desc_iterator_fetch", {it}, [&] {
      pd = c_.primitive_desc_iterator_fetch(it);
      return pd != nullptr ? static_cast<int>(mkldnn_success) : kNothing;
    });
    return pd;
  }

  // All implementations, the second one used, the third asked for on another thread.
  void iterate() {
    for (int round = 0; round < 2; ++round) {
      mkldnn_primitive_desc_iterator_t it = nullptr;
      STEP(primitive_desc_iterator_create_v2, (Needs{}), &it, &g_descriptions.relu.forward, nullptr,
           engine_, nullptr);
      for (int i = 0; i < 3; ++i) {
        const mkldnn_primitive_desc_t pd = fetch(it);
        if (i == 1) {
          Memories m =
              memories(workload::kReorder, 300);  // one input, one output, as a forward relu
          const mkldnn_primitive_t p = create(pd, m);
          const mkldnn_stream_t eager = stream(mkldnn_eager);
          submit(eager, {p});
          wait(eager);
          destroy(eager);
          destroy(p);
          destroy(m);
        }
        destroy(pd);
        elsewhere_ = i == 1;
        STEP(primitive_desc_iterator_next, (Needs{it}), it);
        elsewhere_ = false;
      }
      STEP(primitive_desc_iterator_destroy, (Needs{it}), it);
    }
  }

  // Made here, used and destroyed there, and the other way around.
  void cross_threads() {
    for (const bool there : {true, false, true}) {
      const mkldnn_primitive_desc_t pd = describe(workload::kConvolutionBackwardWeights);
      const Memories m = memories(workload::kConvolutionBackwardWeights, 400);
      elsewhere_ = there;
      const mkldnn_primitive_t p = create(pd, m);
      const mkldnn_stream_t lazy = stream(mkldnn_lazy);
      submit(lazy, {p});
      elsewhere_ = !there;
      point(m.handles[1], buffer(440));
      wait(lazy);
      destroy(lazy);
      destroy(p);
      elsewhere_ = there;
      destroy(m);
      destroy(pd);
    }
    elsewhere_ = false;
  }

  const api::Api &c_;
  mkldnn_engine_t engine_;
  bool batched_;
  const Arm *arm_;
  bool elsewhere_ = false;
  std::vector<Step> steps_;
  Worker worker_;
};

// To be called once, while nothing fails: what descriptions are made of.
inline void prepare() {
  Descriptions &d = g_descriptions;
  d.line = workload::line(1);
  d.image = workload::image(4);
  d.other_image = workload::image(4, mkldnn_nhwc);
  const auto describe = [](What kind, auto *both) {
    const operation::Operation op = workload::operation_of(kind, 4);
    CHECK_OK(op.describe(operation::kForward, &both->forward));
    both->backward = workload::op_desc(kind, 4);
  };
  describe(workload::kReluBackward, &d.relu);
  describe(workload::kConvolutionBackwardWeights, &d.weights);
}

// Runs the script on the calling thread, and parts of it on a second one. `batched`: some of the
// submissions hold several primitives. Everything it made is destroyed when it returns.
inline Run run(bool through_library, mkldnn_engine_t engine, bool batched,
               const Arm *arm = nullptr) {
  const long before = fake_created(kFakePrimitive);
  Run run;
  {
    Script script(through_library ? api::through() : api::direct(), engine, batched, arm);
    run.steps = script.run();
  }
  run.primitives_made = fake_created(kFakePrimitive) - before;
  return run;
}

inline bool same(const Step &a, const Step &b) {
  if (strcmp(a.function, b.function) != 0 || a.status != b.status) return false;
  if (a.executions.size() != b.executions.size()) return false;
  for (size_t i = 0; i < a.executions.size(); ++i) {
    if (memcmp(&a.executions[i], &b.executions[i], sizeof(FakeExecution)) != 0) return false;
  }
  return true;
}

// The first step in which two runs differ, or as many as there are when they do not.
inline size_t first_difference(const Run &a, const Run &b) {
  size_t i = 0;
  while (i < a.steps.size() && i < b.steps.size() && same(a.steps[i], b.steps[i])) ++i;
  return i;
}

inline std::string show(const Run &run, size_t i) {
  std::ostringstream out;
  if (i >= run.steps.size()) return "the end";
  const Step &s = run.steps[i];
  out << "step " << i << " " << s.function << ": status " << s.status;
  for (const FakeExecution &e : s.executions) {
    out << ", executed " << e.content << " on";
    for (int j = 0; j < e.inputs + e.outputs; ++j) {
      out << " " << (static_cast<char *>(e.data[j]) - buffer(0)) / 16;
    }
  }
  return out.str();
}

}  // namespace scripted
