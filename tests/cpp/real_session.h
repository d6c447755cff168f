// Runs of real primitives, directly or through the library, and their comparison bit by bit.
#pragma once

#include <stdlib.h>
#include <string.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "api.h"
#include "check.h"
#include "operation.h"
#include "stats.h"

namespace real_session {

using api::Api;
using api::direct;
using api::through;
using operation::Operation;
using operation::Pass;

// What the tests use of the enumerations that have other numbers in another release than that of
// the headers.
struct Formats {
  int nchw, nhwc, nChw8c, oi, oihw, goihw, nChw16c;
};
struct Algorithms {
  mkldnn_alg_kind_t relu, tanh, logistic;
  mkldnn_alg_kind_t pooling_max, pooling_avg_include_padding, pooling_avg_exclude_padding;
  mkldnn_alg_kind_t lrn_across_channels, deconvolution_direct, lrn_within_channel;
  mkldnn_alg_kind_t elu, square, abs, sqrt, linear, bounded_relu, soft_relu;
};

constexpr mkldnn_alg_kind_t alg(int number) { return static_cast<mkldnn_alg_kind_t>(number); }

struct Release {
  const char *version;
  Formats formats;
  Algorithms algorithms;
};

const Algorithms kUpToV017 = {alg(8),  alg(9),  alg(17), alg(34), alg(40), alg(41),
                              alg(65), alg(71), alg(66), alg(10), alg(11), alg(12),
                              alg(13), alg(14), alg(15), alg(16)};
const Algorithms kFromV018 = {alg(31),   alg(47),  alg(175),  alg(511), alg(767), alg(1023),
                              alg(2815), alg(10),  alg(3071), alg(63),  alg(79),  alg(95),
                              alg(111),  alg(127), alg(143),  alg(159)};
const Release kReleases[] = {
    {"v0.14", {5, 6, 8, 13, 15, 36, 9}, kUpToV017},
    {"v0.17.4", {7, 8, 33, 12, 16, 22, 34}, kUpToV017},
    {"v0.19", {7, 8, 37, 12, 16, 23, 38}, kFromV018},
    {"v1.0.4", {5, 11, 52, 3, 5, 6, 40}, kFromV018},
};

inline const Release &release() {
  static const Release &found = []() -> const Release & {
    const std::string version = Stats().text("mkldnn");
    for (const Release &r : kReleases) {
      if (version == r.version) return r;
    }
    check::fail(__FILE__, __LINE__, version + " has no numbers here");
    check::give_up();
  }();
  return found;
}

inline const Formats &formats() { return release().formats; }
inline const Algorithms &algorithms() { return release().algorithms; }

typedef std::vector<Dim> Dims;
inline mkldnn_memory_desc_t tensor(const Dims &dims, int format,
                                   mkldnn_data_type_t type = mkldnn_f32) {
  mkldnn_memory_desc_t md;
  CHECK_OK(init_layout(&md, static_cast<int>(dims.size()), dims.data(), type,
                       static_cast<Format>(format)));
  return md;
}
inline mkldnn_memory_desc_t any(const Dims &dims) { return tensor(dims, kAnyFormat); }
// Three, which blocks of eight fill up with padding, where the release can do that.
inline int some_channels() {
  mkldnn_memory_desc_t md;
  const Dim dims[] = {2, 3, 5, 5};
  const auto format = static_cast<Format>(formats().nChw8c);
  return init_layout(&md, 4, dims, mkldnn_f32, format) == mkldnn_success ? 3 : 8;
}

inline mkldnn_engine_t engine() {
  static mkldnn_engine_t e = [] {
    mkldnn_engine_t made = nullptr;
    CHECK_OK(mkldnn_engine_create(&made, mkldnn_cpu, 0));
    return made;
  }();
  return e;
}

// With room on both sides, all of one value: some of MKL-DNN's kernels read and write beyond a
// tensor, with the cache or without it (seen: jit:avx2, a weight gradient in Ohwi8o with 3
// channels).
struct Buffer {
  explicit Buffer(size_t n)
      : bytes(n),
        block(static_cast<unsigned char *>(aligned_alloc(64, size()))),
        data(block + kRoom) {
    REQUIRE(block != nullptr);
    memset(block, kUntouched, size());
  }
  ~Buffer() { free(block); }
  // The bytes beside the tensor that are no longer what they were.
  size_t touched_beside() const {
    size_t n = 0;
    for (size_t i = 0; i < kRoom; ++i) n += block[i] != kUntouched;
    for (size_t i = kRoom + bytes; i < size(); ++i) n += block[i] != kUntouched;
    return n;
  }
  size_t bytes;

 private:
  static const size_t kRoom = 16384;
  static const unsigned char kUntouched = 0x3f;  // 0x3f3f3f3f is 0.747 as a float
  size_t size() const { return 2 * kRoom + (bytes + 63) / 64 * 64; }
  unsigned char *block;

 public:
  void *data;
};
typedef std::shared_ptr<Buffer> Data;

// One run of a case through one of the two ways. Buffers stay until the session ends, so those of
// two sessions never share an address.
class SessionBase {
 public:
  explicit SessionBase(const Api &api) : api_(api), random_(7) {}
  ~SessionBase() {
    for (mkldnn_primitive_desc_t pd : pds_) CHECK_OK(api_.primitive_desc_destroy(pd));
  }
  const Api &api() const { return api_; }
  mkldnn_status_t status() const { return status_; }

  // Each of these returns nullptr once something is not implemented; the session's status says so.
  mkldnn_primitive_desc_t operation(const operation::OpDesc &d,
                                    const_mkldnn_primitive_desc_t hint = nullptr,
                                    const_mkldnn_primitive_attr_t attr = nullptr) {
    return keep(
        [&](mkldnn_primitive_desc_t *pd) { return api_.describe(pd, &d, attr, engine(), hint); });
  }
  mkldnn_primitive_desc_t operation(const Operation &op, Pass pass = operation::kForward,
                                    const_mkldnn_primitive_desc_t hint = nullptr,
                                    const_mkldnn_primitive_attr_t attr = nullptr) {
    operation::OpDesc d;
    CHECK_OK(op.describe(pass, &d));
    return operation(d, hint, attr);
  }
  mkldnn_primitive_desc_t keep(
      const std::function<mkldnn_status_t(mkldnn_primitive_desc_t *)> &create) {
    if (status_ != mkldnn_success) return nullptr;
    mkldnn_primitive_desc_t pd = nullptr;
    status_ = create(&pd);
    if (status_ == mkldnn_success) pds_.push_back(pd);
    return pd;
  }

  // Of random numbers.
  Data new_buffer(size_t bytes, bool of_floats) {
    const Data data = std::make_shared<Buffer>(bytes);
    REQUIRE(data->bytes > 0);
    if (of_floats) {
      std::uniform_real_distribution<float> value(0.1f, 1.0f);
      float *at = static_cast<float *>(data->data);
      for (size_t i = 0; i < data->bytes / sizeof(float); ++i) {
        at[i] = value(random_) * (random_() % 2 == 0 ? 1.0f : -1.0f);
      }
    } else {
      for (size_t i = 0; i < data->bytes; ++i) {
        static_cast<unsigned char *>(data->data)[i] = static_cast<unsigned char>(random_());
      }
    }
    buffers_.push_back(data);
    return data;
  }
  void add_result(const Data &data) { all_results_.push_back(data); }

  // The bytes beside tensors that were written.
  size_t touched_beside() const {
    size_t n = 0;
    for (const Data &data : buffers_) n += data->touched_beside();
    return n;
  }

  // The bits of everything computed.
  std::string bits() const {
    std::string all;
    for (const Data &data : all_results_) {
      all.append(static_cast<const char *>(data->data), data->bytes);
    }
    return all;
  }

 protected:
  // What layouts() says of one tensor.
  template <class Strides, class Padded>
  static std::string text_of(const mkldnn_memory_desc_t &md, int format, const Strides &strides,
                             const Padded &padded, size_t bytes) {
    std::string text = std::to_string(format) + "/" + std::to_string(md.data_type) + ":";
    for (int i = 0; i < md.ndims; ++i) {
      text += " " + std::to_string(md.dims[i]) + "," + std::to_string(strides[i]) + "," +
              std::to_string(padded[i]);
    }
    return text + " " + std::to_string(bytes) + "; ";
  }

  const Api &api_;
  std::mt19937 random_;
  mkldnn_status_t status_ = mkldnn_success;
  std::vector<mkldnn_primitive_desc_t> pds_;
  std::vector<Data> buffers_, all_results_;
};

}  // namespace real_session

#ifdef API1
#include "session1.h"
#else
#include "session.h"
#endif

namespace real_session {

typedef std::function<void(Session *)> Case;

// Three runs, the first of them past the library: the same bits.
inline void same_bits(const Case &run) {
  std::string expected;
  for (int round = 0; round < 3; ++round) {
    Session s(round == 0 ? direct() : through());
    run(&s);
    CHECK_EQ(s.status(), mkldnn_success);
    if (round == 0) expected = s.bits();
    CHECK_TEXT(s.bits() == expected, "round " << round);
  }
}

// `op`: the name under which the second cached run must show hits. `prepare_thread` is called first
// on every thread that compare starts.
inline void compare(
    const char *op, const Case &run, const std::function<void()> &prepare_thread = [] {}) {
  CHECK_EQ(Stats()["recognised"], 1);
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 2; ++i) {
    sessions.push_back(std::make_unique<Session>(direct()));
    run(sessions.back().get());
    if (sessions.back()->status() == mkldnn_unimplemented) {
      printf("%s: not implemented by %s: skipped\n", op, Stats().text("mkldnn").c_str());
      return;
    }
    CHECK_EQ(sessions.back()->status(), mkldnn_success);
  }
  const std::string expected = sessions[0]->bits();
  REQUIRE(!expected.empty());
  REQUIRE(sessions[1]->bits() == expected);  // else there is nothing to compare with
  const std::string path = std::string("operators/") + op;
  Stats before;
  for (int i = 0; i < 3; ++i) {
    before = Stats();
    Session cached(through());
    run(&cached);
    CHECK_EQ(cached.status(), mkldnn_success);
    CHECK_TEXT(cached.bits() == expected, op << " differs in cached run " << i);
    // Buffers of this run are freed with it: take their place, so that the next ones are elsewhere.
    sessions.push_back(std::make_unique<Session>(direct()));
    run(sessions.back().get());
  }
  const Stats after;
  for (const char *field : {"/primitives_created", "/descriptors_created"}) {
    CHECK_EQ(after[path + field], before[path + field]);
    CHECK_EQ(after[std::string("totals") + field], before[std::string("totals") + field]);
  }
  CHECK(after[path + "/primitives_avoided"] > before[path + "/primitives_avoided"]);
  CHECK(after[path + "/descriptors_avoided"] > before[path + "/descriptors_avoided"]);
  CHECK(after[path + "/primitives_created"] > 0);
  // And on threads, where everything is made anew and destroyed at their end.
  for (int i = 0; i < 2; ++i) {
    std::thread([&] {
      prepare_thread();
      Session other(through());
      run(&other);
      CHECK(other.bits() == expected);
    }).join();
  }
}

}  // namespace real_session
