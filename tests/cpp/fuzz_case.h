// One case of the fuzz on a real libmkldnn.so.0: its choices, the primitive of each kind that they
// come to, and a note of what MKL-DNN was asked and said. For fuzz_case.cc and fuzz_case_kinds.cc.
#ifndef OPCACHE_TESTS_FUZZ_CASE_H_
#define OPCACHE_TESTS_FUZZ_CASE_H_

#include <string.h>

#include <initializer_list>
#include <random>
#include <string>

#include "fuzz_real_cases.h"
#include "owned.h"
#include "real_session.h"

namespace fuzz {

using real_session::Dims;
using real_session::formats;
using real_session::Operation;
using real_session::Pass;
using real_session::Session;

class Case {
 public:
  Case(Session *session, uint64_t number, bool aloud)
      : s_(*session), random_(number / kVariants), varied_(number % kVariants), aloud_(aloud) {}
  std::string run();

 private:
  int below(int n) {
    const uint64_t choice = random_() + (++choices_ == varied_ ? 1 : 0);
    return static_cast<int>(choice % static_cast<unsigned>(n));
  }
  bool one_in(int n) { return below(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<int>(choices.size()))];
  }

  // In one of these formats, or the plain one where the release cannot.
  mkldnn_memory_desc_t describe(const Dims &dims, int format, int plain,
                                mkldnn_data_type_t type = mkldnn_f32) {
    mkldnn_memory_desc_t md;
    for (const int f : {format, plain}) {
      if (mkldnn_memory_desc_init(&md, static_cast<int>(dims.size()), dims.data(), type,
                                  static_cast<mkldnn_memory_format_t>(f)) == mkldnn_success) {
        break;
      }
    }
    return md;
  }
  int image_format() {
    return of(
        {formats().nchw, formats().nchw, formats().nhwc, formats().nChw8c, formats().nChw16c});
  }
  int any_or_image() { return one_in(2) ? static_cast<int>(mkldnn_any) : image_format(); }
  mkldnn_memory_desc_t image(const Dims &dims, int format) {
    return describe(dims, format, formats().nchw);
  }

  // False when a description was refused, which is noted.
  bool ok(mkldnn_status_t status) {
    note("description " + std::to_string(status));
    return status == mkldnn_success;
  }
  void note(const std::string &text) {
    text_ += text + "; ";
    if (aloud_) fprintf(stderr, "%s; ", text.c_str());
  }
  void note(const_mkldnn_primitive_desc_t pd);
  // A descriptor of a pass, sometimes of a description that is wrong; false when it is refused.
  bool describe(const Operation &op, Pass pass, mkldnn_primitive_desc_t *pd,
                mkldnn_primitive_desc_t hint = nullptr, mkldnn_primitive_attr_t attr = nullptr);
  Pass any_pass() { return static_cast<Pass>(below(operation::kPasses)); }
  // Describes the forward pass, and runs it or the backward one that it is the hint of.
  void run_pass(const Operation &op, Pass pass, mkldnn_primitive_attr_t attr = nullptr);
  void run_back(const Operation &op, Pass pass, mkldnn_primitive_desc_t hint,
                const std::map<int, real_session::Data> &given = {});
  mkldnn_primitive_desc_t noted(mkldnn_primitive_desc_t pd) {
    note(pd);
    return pd;
  }
  void add_post_ops(Attr *attr);
  void add_scales(Attr *attr);

  void convolution() { layers(false); }
  void deconvolution() { layers(true); }
  void layers(bool transposed);
  void inner_product();
  void pooling();
  void lrn();
  void batch_norm();
  void eltwise();
  void softmax();
  void reorder();
  template <class Create>
  void run_many(std::vector<const_mkldnn_primitive_desc_t> inputs, const Dims &dims, int format,
                const Create &create);
  void sum();
  void concat();
  void view();

  Session &s_;
  std::mt19937_64 random_;
  const uint64_t varied_;  // which choice is another than the number's family makes; 0: none
  uint64_t choices_ = 0;
  const bool aloud_;
  std::string text_;
};

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_CASE_H_
