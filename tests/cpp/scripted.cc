#include "scripted.h"

#include <string.h>

#include <functional>
#include <memory>
#include <sstream>

#include "check.h"
#include "worker.h"
#include "workload.h"

namespace scripted {

namespace {

using workload::buffer;
using workload::Worker;

#define SCRIPTED_FUNCTIONS(X)          \
  X(concat_primitive_desc_create)      \
  X(memory_primitive_desc_create)      \
  X(memory_set_data_handle)            \
  X(primitive_create)                  \
  X(primitive_desc_clone)              \
  X(primitive_desc_create_v2)          \
  X(primitive_desc_destroy)            \
  X(primitive_desc_iterator_create_v2) \
  X(primitive_desc_iterator_destroy)   \
  X(primitive_desc_iterator_fetch)     \
  X(primitive_desc_iterator_next)      \
  X(primitive_desc_query_pd)           \
  X(primitive_destroy)                 \
  X(primitive_get_input_at)            \
  X(primitive_get_output)              \
  X(primitive_get_primitive_desc)      \
  X(reorder_primitive_desc_create_v2)  \
  X(stream_create)                     \
  X(stream_destroy)                    \
  X(stream_rerun)                      \
  X(stream_submit)                     \
  X(stream_wait)                       \
  X(sum_primitive_desc_create)

struct Calls {
#define SCRIPTED_DECLARE(name) decltype(&mkldnn_##name) name;
  SCRIPTED_FUNCTIONS(SCRIPTED_DECLARE)
#undef SCRIPTED_DECLARE
};

const Calls &calls_of(bool through_library) {
#define SCRIPTED_THROUGH(name) &mkldnn_##name,
#define SCRIPTED_PAST(name) \
  reinterpret_cast<decltype(&mkldnn_##name)>(workload::beneath("mkldnn_" #name)),
  static const Calls through = {SCRIPTED_FUNCTIONS(SCRIPTED_THROUGH)};
  static const Calls past = {SCRIPTED_FUNCTIONS(SCRIPTED_PAST)};
#undef SCRIPTED_THROUGH
#undef SCRIPTED_PAST
  return through_library ? through : past;
}

enum Kind { kRelu, kWeights, kReorder, kSum, kConcat, kKinds };

// Made before anything fails: descriptions are the program's own business.
struct Descriptions {
  mkldnn_memory_desc_t line, image, other_image;
  mkldnn_eltwise_desc_t relu, relu_backward;
  mkldnn_convolution_desc_t convolution, weights;
};
Descriptions g_descriptions;

int inputs_of(Kind kind) { return kind == kReorder ? 1 : 2; }
// Of the fake's weight gradient there are two: weights and bias.
int outputs_of(Kind kind) { return kind == kWeights ? 2 : 1; }

class Script {
 public:
  Script(const Calls &calls, mkldnn_engine_t engine, bool batched, const Arm *arm)
      : c_(calls), engine_(engine), batched_(batched), arm_(arm) {}

  std::vector<Step> run() {
    for (int kind = 0; kind < kKinds; ++kind) operate(static_cast<Kind>(kind));
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
    step("primitive_desc_create_v2", needs,
         [&] { return c_.primitive_desc_create_v2(&pd, op_desc, nullptr, engine_, hint); });
    return pd;
  }

  mkldnn_primitive_desc_t memory_desc(const mkldnn_memory_desc_t &md) {
    mkldnn_primitive_desc_t pd = nullptr;
    step("memory_primitive_desc_create", {},
         [&] { return c_.memory_primitive_desc_create(&pd, &md, engine_); });
    return pd;
  }

  void destroy(mkldnn_primitive_desc_t pd) {
    step("primitive_desc_destroy", {pd}, [&] { return c_.primitive_desc_destroy(pd); });
  }

  mkldnn_primitive_desc_t describe(Kind kind) {
    const Descriptions &d = g_descriptions;
    if (kind == kRelu || kind == kWeights) {
      const void *forward = kind == kRelu ? static_cast<const void *>(&d.relu) : &d.convolution;
      const void *backward =
          kind == kRelu ? static_cast<const void *>(&d.relu_backward) : &d.weights;
      const mkldnn_primitive_desc_t hint = operation(forward, nullptr);
      const mkldnn_primitive_desc_t pd = operation(backward, hint, {hint});
      destroy(hint);
      return pd;
    }
    const mkldnn_primitive_desc_t a = memory_desc(d.image);
    const mkldnn_primitive_desc_t b = memory_desc(kind == kReorder ? d.other_image : d.image);
    const_mkldnn_primitive_desc_t both[] = {a, b};
    const float scales[] = {1.0f, 2.0f};
    mkldnn_primitive_desc_t pd = nullptr;
    if (kind == kReorder) {
      step("reorder_primitive_desc_create_v2", {a, b},
           [&] { return c_.reorder_primitive_desc_create_v2(&pd, a, b, nullptr); });
    } else if (kind == kSum) {
      step("sum_primitive_desc_create", {a, b},
           [&] { return c_.sum_primitive_desc_create(&pd, nullptr, 2, scales, both); });
    } else {
      step("concat_primitive_desc_create", {a, b},
           [&] { return c_.concat_primitive_desc_create(&pd, nullptr, 2, 1, both); });
    }
    destroy(a);
    destroy(b);
    return pd;
  }

  mkldnn_primitive_desc_t clone(const_mkldnn_primitive_desc_t pd) {
    mkldnn_primitive_desc_t copy = nullptr;
    step("primitive_desc_clone", {pd}, [&] { return c_.primitive_desc_clone(&copy, pd); });
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
    step("primitive_create", {pd}, [&] { return c_.primitive_create(&m, pd, nullptr, nullptr); });
    destroy(pd);
    point(m, data);
    return m;
  }

  void point(mkldnn_primitive_t memory, void *data) {
    step("memory_set_data_handle", {memory},
         [&] { return c_.memory_set_data_handle(memory, data); });
  }

  Memories memories(Kind kind, int first) {
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
    step("primitive_create", needs,
         [&] { return c_.primitive_create(&p, pd, m.inputs.data(), outputs.data()); });
    return p;
  }

  void destroy(mkldnn_primitive_t p) {
    step("primitive_destroy", {p}, [&] { return c_.primitive_destroy(p); });
  }

  // The answers must be the caller's own handles.
  void look_into(mkldnn_primitive_t p, const Memories &m) {
    const_mkldnn_primitive_desc_t pd = nullptr;
    const_mkldnn_primitive_t output = nullptr;
    mkldnn_primitive_at_t input = {nullptr, 0};
    step("primitive_get_primitive_desc", {p},
         [&] { return c_.primitive_get_primitive_desc(p, &pd); });
    if (step("primitive_get_input_at", {p},
             [&] { return c_.primitive_get_input_at(p, 0, &input); }) == mkldnn_success) {
      CHECK_EQ(input.primitive, m.inputs[0].primitive);
    }
    if (step("primitive_get_output", {p}, [&] { return c_.primitive_get_output(p, 0, &output); }) ==
        mkldnn_success) {
      CHECK_EQ(output, m.outputs[0]);
    }
  }

  // Streams

  mkldnn_stream_t stream(mkldnn_stream_kind_t kind) {
    mkldnn_stream_t s = nullptr;
    step("stream_create", {}, [&] { return c_.stream_create(&s, kind); });
    return s;
  }

  void submit(mkldnn_stream_t s, std::vector<mkldnn_primitive_t> primitives) {
    const size_t at_once = batched_ ? primitives.size() : 1;
    for (size_t i = 0; i < primitives.size(); i += at_once) {
      Needs needs(primitives.begin() + static_cast<long>(i),
                  primitives.begin() + static_cast<long>(i + at_once));
      needs.push_back(s);
      step("stream_submit", needs,
           [&] { return c_.stream_submit(s, at_once, &primitives[i], nullptr); });
    }
  }

  void wait(mkldnn_stream_t s) {
    step("stream_wait", {s}, [&] { return c_.stream_wait(s, 1, nullptr); });
  }
  void rerun(mkldnn_stream_t s) {
    step("stream_rerun", {s}, [&] { return c_.stream_rerun(s, nullptr); });
  }
  void destroy(mkldnn_stream_t s) {
    step("stream_destroy", {s}, [&] { return c_.stream_destroy(s); });
  }

  // The acts

  // An operator twice at the same time, each time in every kind of stream, with data that moves.
  void operate(Kind kind) {
    const mkldnn_primitive_desc_t pd = describe(kind);
    const mkldnn_primitive_desc_t copy = clone(pd);
    query(pd, kind == kRelu || kind == kWeights ? mkldnn_query_src_pd : mkldnn_query_output_pd);
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
    const mkldnn_primitive_desc_t first = describe(kRelu), second = describe(kSum);
    for (int round = 0; round < 2; ++round) {
      const Memories m = memories(kRelu, 200);
      Memories n = memories(kSum, 220);
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
      step("primitive_desc_iterator_create_v2", {}, [&] {
        return c_.primitive_desc_iterator_create_v2(&it, &g_descriptions.relu, nullptr, engine_,
                                                    nullptr);
      });
      for (int i = 0; i < 3; ++i) {
        const mkldnn_primitive_desc_t pd = fetch(it);
        if (i == 1) {
          Memories m = memories(kReorder, 300);  // one input, one output, as a forward relu
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
        step("primitive_desc_iterator_next", {it},
             [&] { return c_.primitive_desc_iterator_next(it); });
        elsewhere_ = false;
      }
      step("primitive_desc_iterator_destroy", {it},
           [&] { return c_.primitive_desc_iterator_destroy(it); });
    }
  }

  // Made here, used and destroyed there, and the other way around.
  void cross_threads() {
    for (const bool there : {true, false, true}) {
      const mkldnn_primitive_desc_t pd = describe(kWeights);
      const Memories m = memories(kWeights, 400);
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

  const Calls &c_;
  mkldnn_engine_t engine_;
  bool batched_;
  const Arm *arm_;
  bool elsewhere_ = false;
  std::vector<Step> steps_;
  Worker worker_;
};

}  // namespace

void prepare() {
  Descriptions &d = g_descriptions;
  d.line = workload::line(1);
  d.image = workload::image(4);
  d.other_image = workload::image(4, mkldnn_nhwc);
  const mkldnn_memory_desc_t weights = workload::image(3), bias = workload::line(3);
  const int ones[] = {1, 1}, zeros[] = {0, 0};
  CHECK_OK(mkldnn_eltwise_forward_desc_init(&d.relu, mkldnn_forward_training, mkldnn_eltwise_relu,
                                            &d.image, 0, 0));
  CHECK_OK(mkldnn_eltwise_backward_desc_init(&d.relu_backward, mkldnn_eltwise_relu, &d.image,
                                             &d.image, 0, 0));
  CHECK_OK(mkldnn_convolution_forward_desc_init(
      &d.convolution, mkldnn_forward_training, mkldnn_convolution_direct, &d.image, &weights, &bias,
      &d.image, ones, zeros, zeros, mkldnn_padding_zero));
  CHECK_OK(mkldnn_convolution_backward_weights_desc_init(&d.weights, mkldnn_convolution_direct,
                                                         &d.image, &weights, &bias, &d.image, ones,
                                                         zeros, zeros, mkldnn_padding_zero));
}

Run run(bool through_library, mkldnn_engine_t engine, bool batched, const Arm *arm) {
  const long before = fake_created(kFakePrimitive);
  Run run;
  {
    Script script(calls_of(through_library), engine, batched, arm);
    run.steps = script.run();
  }
  run.primitives_made = fake_created(kFakePrimitive) - before;
  return run;
}

bool same(const Step &a, const Step &b) {
  if (strcmp(a.function, b.function) != 0 || a.status != b.status) return false;
  if (a.executions.size() != b.executions.size()) return false;
  for (size_t i = 0; i < a.executions.size(); ++i) {
    if (memcmp(&a.executions[i], &b.executions[i], sizeof(FakeExecution)) != 0) return false;
  }
  return true;
}

size_t first_difference(const Run &a, const Run &b) {
  size_t i = 0;
  while (i < a.steps.size() && i < b.steps.size() && same(a.steps[i], b.steps[i])) ++i;
  return i;
}

std::string show(const Run &run, size_t i) {
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
