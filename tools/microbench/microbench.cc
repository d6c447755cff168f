// Measures what one host's MKL-DNN takes to create and destroy primitives, to submit them, and with
// the cache from several threads at once; prints JSON. One process measures one host in one
// variant: LD_LIBRARY_PATH names the folder of libmkldnn.so.0, LD_PRELOAD the cache library if
// there is one.
#include <mkldnn.h>
#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cases.h"
#include "evidence.h"
#include "fail.h"
#include "measure.h"

// Of the OpenMP runtime that libmkldnn.so.0 is linked to; its header does not come with MXNet.
extern "C" void omp_set_num_threads(int n);

namespace microbench {

namespace {

const int kThreads[] = {1, 2, 4, 8};
const auto kThreadsWindow = std::chrono::milliseconds(20);

std::string cycles_json(const Host &host, const Evidence &evidence, int repetitions) {
  std::string json = "{";
  for (const Case &operation : all_cases(host)) {
    const Counts before = evidence.counts();
    const Loop loop = [&](uint64_t n) {
      while (n-- > 0) operation.cycle();
    };
    const Timing timing = measure(repetitions, {loop})[0];
    evidence.expect_calls(before, timing.all, operation.name());
    json += std::string(json.size() > 1 ? ",\n  \"" : "\n  \"") + operation.name() +
            "\": " + timing_json(timing);
  }
  return json + "}";
}

// As MXNet does it: a stream for every submit.
void submit(mkldnn_primitive_t primitive) {
  mkldnn_stream_t stream;
  mkldnn_primitive_t failed;
  ok(mkldnn_stream_create(&stream, mkldnn_eager), "mkldnn_stream_create");
  ok(mkldnn_stream_submit(stream, 1, &primitive, &failed), "mkldnn_stream_submit");
  ok(mkldnn_stream_wait(stream, 1, &failed), "mkldnn_stream_wait");
  ok(mkldnn_stream_destroy(stream), "mkldnn_stream_destroy");
}

struct Buffers {
  alignas(64) float source[kTiny];
  alignas(64) float target[kTiny];
};

// Always the same buffers, and other ones each time.
std::string submit_json(const Host &host, const Evidence &evidence, int repetitions) {
  // Waking a second OpenMP thread takes longer than everything that is looked for here.
  omp_set_num_threads(1);
  const Case relu = tiny_relu(host);
  const Counts before = evidence.counts();
  relu.cycle();
  const Primitive primitive = relu.create();
  evidence.expect_calls(before, 2, relu.name());

  Buffers buffers[2];
  for (int b = 0; b < 2; ++b) {
    for (int i = 0; i < kTiny; ++i) {
      buffers[b].source[i] = static_cast<float>((b + 1) * (i % 2 == 0 ? i + 1 : -i));
      buffers[b].target[i] = -1;
    }
  }
  const auto point_to = [&](Buffers &b) {
    ok(mkldnn_memory_set_data_handle(relu.memory(0), b.source), "mkldnn_memory_set_data_handle");
    ok(mkldnn_memory_set_data_handle(relu.memory(1), b.target), "mkldnn_memory_set_data_handle");
  };
  const Loop plain = [&](uint64_t n) {
    point_to(buffers[0]);
    while (n-- > 0) submit(primitive.get());
  };
  const Loop rebinding = [&](uint64_t n) {
    while (n-- > 0) {
      point_to(buffers[n % 2]);
      submit(primitive.get());
    }
  };
  const std::vector<Timing> timings = measure(repetitions, {plain, rebinding});
  for (const Buffers &b : buffers) {
    for (int i = 0; i < kTiny; ++i) {
      const float expected = b.source[i] > 0 ? b.source[i] : 0;
      if (b.target[i] != expected) fail("ReLU: expected %g, found %g", expected, b.target[i]);
    }
  }
  return "{\"plain\": " + timing_json(timings[0]) +
         ",\n  \"rebinding\": " + timing_json(timings[1]) + "}";
}

// Hits of all threads together, each on a cached convolution of its own key or all on the same.
double hits_per_second(const Host &host, const Evidence &evidence, int n, bool same_key) {
  std::atomic<int> ready(0);
  std::atomic<bool> go(false), stop(false);
  std::vector<uint64_t> hits(static_cast<size_t>(n));
  std::vector<std::thread> threads;
  for (int i = 0; i < n; ++i) {
    threads.emplace_back([&, i] {
      const Case operation = convolution_forward(host, same_key ? 1 : i + 1);
      operation.cycle();
      ++ready;
      while (!go) std::this_thread::yield();
      uint64_t count = 0;
      for (; !stop.load(std::memory_order_relaxed); ++count) operation.cycle();
      hits[static_cast<size_t>(i)] = count;
    });
  }
  while (ready != n) std::this_thread::yield();
  const Counts before = evidence.counts();
  const uint64_t start = now_ns();
  go = true;
  std::this_thread::sleep_for(kThreadsWindow);
  stop = true;
  const uint64_t elapsed_ns = now_ns() - start;
  for (std::thread &thread : threads) thread.join();
  uint64_t total = 0;
  for (const uint64_t count : hits) total += count;
  evidence.expect(before, total, 0, "threads");
  return static_cast<double>(total) * 1e9 / static_cast<double>(elapsed_ns);
}

std::string threads_json(const Host &host, const Evidence &evidence, int repetitions) {
  struct Setting {
    bool same_key;
    int threads;
    std::vector<double> values;
  };
  std::vector<Setting> settings;
  for (const bool same_key : {true, false}) {
    for (const int n : kThreads) settings.push_back({same_key, n, {}});
  }
  // In turns, so that what else the machine does meets all alike.
  for (int r = 0; evidence.caches() && r < repetitions; ++r) {
    for (Setting &s : settings) {
      s.values.push_back(hits_per_second(host, evidence, s.threads, s.same_key));
    }
  }
  std::string json = "[";
  for (const Setting &s : settings) {
    if (s.values.empty()) continue;
    json += std::string(json.size() > 1 ? ",\n  " : "\n  ") + "{\"keys\": \"" +
            (s.same_key ? "same" : "different") + "\", \"threads\": " + std::to_string(s.threads) +
            ", \"hits_per_second\": " + summary_json(s.values) + "}";
  }
  return json + "]";
}

}  // namespace

}  // namespace microbench

int main(int argc, char **argv) {
  using namespace microbench;
  const int repetitions = argc == 4 ? atoi(argv[3]) : 0;
  const Release *const release = argc == 4 ? find_release(argv[1]) : nullptr;
  const std::string variant = argc == 4 ? argv[2] : "";
  const bool known = variant == "stock" || variant == "off" || variant == "all";
  if (release == nullptr || !known || repetitions < 1) {
    fprintf(stderr, "usage: %s v0.14|v0.17.4|v0.19 stock|off|all REPETITIONS\n", argv[0]);
    return 2;
  }
  mkldnn_engine_t engine;
  ok(mkldnn_engine_create(&engine, mkldnn_cpu, 0), "mkldnn_engine_create");
  const Host host = {engine, *release};
  const Evidence evidence(variant, release->name);
  const std::string cycles = cycles_json(host, evidence, repetitions);
  const std::string threads = threads_json(host, evidence, repetitions);
  const std::string submits = submit_json(host, evidence, repetitions);
  printf("{\"libraries\": %s,\n \"cycles\": %s,\n \"submit\": %s,\n \"threads\": %s,\n",
         libraries_json().c_str(), cycles.c_str(), submits.c_str(), threads.c_str());
  printf(" \"stats\": %s}\n", evidence.json().c_str());
  return 0;
}
