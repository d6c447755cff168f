// Handles of MKL-DNN that are destroyed when their owner is.
#pragma once

#include <utility>

#include "check.h"
#include "interface.h"

template <class Handle, mkldnn_status_t (*destroy)(Handle)>
struct Owned {
  explicit Owned(Handle owned = nullptr) : handle(owned) {}
  Owned(Owned &&other) noexcept : handle(other.handle) { other.handle = nullptr; }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(handle, other.handle);
    return *this;
  }
  ~Owned() { reset(); }
  void reset() {
    if (handle != nullptr) CHECK_OK(destroy(handle));
    handle = nullptr;
  }
  operator Handle() const { return handle; }
  Handle handle;
};

// Begins as none; is one from the first thing on that is set.
struct Attr : Owned<mkldnn_primitive_attr_t, mkldnn_primitive_attr_destroy> {
  Attr &create() {
    if (handle == nullptr) CHECK_OK(mkldnn_primitive_attr_create(&handle));
    return *this;
  }
  Attr &scale(float scale) {
    create();
    CHECK_OK(mkldnn_primitive_attr_set_output_scales(handle, 1, 0, &scale));
    return *this;
  }
#ifdef API1
  Attr &scratchpad(mkldnn_scratchpad_mode_t mode) {
    create();
    CHECK_OK(mkldnn_primitive_attr_set_scratchpad_mode(handle, mode));
    return *this;
  }
#else
  Attr &round(mkldnn_round_mode_t mode) {
    create();
    CHECK_OK(mkldnn_primitive_attr_set_int_output_round_mode(handle, mode));
    return *this;
  }
#endif
  Attr &post(mkldnn_post_ops_t post_ops) {
    create();
    CHECK_OK(mkldnn_primitive_attr_set_post_ops(handle, post_ops));
    return *this;
  }
};

struct PostOps : Owned<mkldnn_post_ops_t, mkldnn_post_ops_destroy> {
  PostOps() { CHECK_OK(mkldnn_post_ops_create(&handle)); }
  PostOps &sum(float scale) {
    CHECK_OK(mkldnn_post_ops_append_sum(handle, scale));
    return *this;
  }
  PostOps &eltwise(mkldnn_alg_kind_t algorithm, float alpha = 0) {
    CHECK_OK(mkldnn_post_ops_append_eltwise(handle, 1.0f, algorithm, alpha, 0));
    return *this;
  }
};
