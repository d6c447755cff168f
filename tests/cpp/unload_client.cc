// Stands for libmxnet.so: a shared library that calls MKL-DNN by its names, wherever the loader
// finds them, and holds objects of it in static variables, whose destructors give them back after
// main. With API1 it calls MKL-DNN 1.0.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <thread>
#include <vector>

#include "interface.h"

namespace {

void require(bool condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "unload_client: %s\n", what);
  abort();
}

#define OK(call) require((call) == mkldnn_success, #call)

// One engine for everything, as in MXNet; never destroyed.
mkldnn_engine_t engine() {
  static const mkldnn_engine_t e = [] {
    mkldnn_engine_t made = nullptr;
    OK(mkldnn_engine_create(&made, mkldnn_cpu, 0));
    return made;
  }();
  return e;
}

#ifdef API1
typedef mkldnn_memory_t Memory;
void destroy(Memory m) { mkldnn_memory_destroy(m); }
#else
typedef mkldnn_primitive_t Memory;
void destroy(Memory m) { mkldnn_primitive_destroy(m); }
#endif

// A rectification over two memory objects, of `n` numbers.
class Relu {
 public:
  explicit Relu(int n) : data_(static_cast<size_t>(2 * n), -1.0f) {
    mkldnn_memory_desc_t md;
    mkldnn_eltwise_desc_t op;
    const Dim dims[] = {1, 1, 1, n};
#ifdef API1
    OK(init_layout(&md, 4, dims, mkldnn_f32, mkldnn_nchw));
    OK(mkldnn_eltwise_forward_desc_init(&op, mkldnn_forward_training, mkldnn_eltwise_relu, &md, 0,
                                        0));
    OK(mkldnn_primitive_desc_create(&pd_, &op, nullptr, engine(), nullptr));
    for (int i = 0; i < 2; ++i) {
      OK(mkldnn_memory_create(&memory_[i], &md, engine(), data_.data() + i * n));
    }
    OK(mkldnn_primitive_create(&primitive_, pd_));
#else
    // Numbers that differ from release to release.
    const int nchw = getenv("CLIENT_NCHW") != nullptr ? atoi(getenv("CLIENT_NCHW")) : mkldnn_nchw;
    const int relu = getenv("CLIENT_RELU") != nullptr ? atoi(getenv("CLIENT_RELU"))
                                                      : static_cast<int>(mkldnn_eltwise_relu);
    OK(init_layout(&md, 4, dims, mkldnn_f32, static_cast<Format>(nchw)));
    OK(mkldnn_eltwise_forward_desc_init(&op, mkldnn_forward_training,
                                        static_cast<mkldnn_alg_kind_t>(relu), &md, 0, 0));
    OK(mkldnn_primitive_desc_create(&pd_, &op, engine(), nullptr));
    for (int i = 0; i < 2; ++i) {
      mkldnn_primitive_desc_t layout = nullptr;
      OK(mkldnn_memory_primitive_desc_create(&layout, &md, engine()));
      OK(mkldnn_primitive_create(&memory_[i], layout, nullptr, nullptr));
      mkldnn_primitive_desc_destroy(layout);
      mkldnn_memory_set_data_handle(memory_[i], data_.data() + i * n);
    }
    const mkldnn_primitive_at_t input = {memory_[0], 0};
    const_mkldnn_primitive_t output = memory_[1];
    OK(mkldnn_primitive_create(&primitive_, pd_, &input, &output));
#endif
  }
  ~Relu() {
    mkldnn_primitive_destroy(primitive_);
    for (Memory m : memory_) destroy(m);
    mkldnn_primitive_desc_destroy(pd_);
  }
  void run() {
    mkldnn_stream_t stream = nullptr;
#ifdef API1
    OK(mkldnn_stream_create(&stream, engine(), 1));
    const mkldnn_exec_arg_t arguments[] = {{MKLDNN_ARG_SRC, memory_[0]},
                                           {MKLDNN_ARG_DST, memory_[1]}};
    OK(mkldnn_primitive_execute(primitive_, stream, 2, arguments));
    OK(mkldnn_stream_wait(stream));
#else
    OK(mkldnn_stream_create(&stream, mkldnn_eager));
    OK(mkldnn_stream_submit(stream, 1, &primitive_, nullptr));
    OK(mkldnn_stream_wait(stream, 1, nullptr));
#endif
    mkldnn_stream_destroy(stream);
  }

 private:
  std::vector<float> data_;
  mkldnn_primitive_desc_t pd_ = nullptr;
  Memory memory_[2] = {nullptr, nullptr};
  mkldnn_primitive_t primitive_ = nullptr;
};

// Held until static destructors run: after main, or when this library is unloaded.
struct Held {
  ~Held() { delete relu; }
  Relu *relu = nullptr;
};
Held g_held;
std::atomic<bool> g_stop{false};

void *work(void *) {
  // Live ones and idle ones of this thread's, until it is told to end or the process does.
  Relu own(24);
  for (int i = 0; !g_stop; ++i) {
    Relu other(8 + i % 5);
    other.run();
    own.run();
  }
  return nullptr;
}

void after_main() {
  Relu late(40);
  late.run();
}

pthread_t g_threads[2];

}  // namespace

extern "C" {

// Leaves live and idle primitives behind, on this thread and on those that go on working.
__attribute__((visibility("default"))) void client_start(int threads) {
  Relu(16).run();
  g_held.relu = new Relu(32);
  g_held.relu->run();
  for (int i = 0; i < threads; ++i) {
    require(pthread_create(&g_threads[i], nullptr, work, nullptr) == 0, "no thread");
  }
  if (getenv("CLIENT_ATEXIT") != nullptr) atexit(after_main);
}

// Leaves an idle primitive behind on the calling thread.
__attribute__((visibility("default"))) void client_touch(int) { Relu(48).run(); }

__attribute__((visibility("default"))) void client_stop(int threads) {
  g_stop = true;
  for (int i = 0; i < threads; ++i) pthread_join(g_threads[i], nullptr);
}

}  // extern "C"
