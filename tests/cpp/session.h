// Of MKL-DNN 0.x, where a primitive is bound to its memory objects. A part of real_session.h.
#pragma once

#include "real_session.h"

namespace real_session {

class Session : public SessionBase {
 public:
  using SessionBase::SessionBase;
  typedef const_mkldnn_primitive_desc_t Source;
  bool executes = true;  // or only creates
  ~Session() {
    for (mkldnn_primitive_t p : primitives_) CHECK_OK(api_.primitive_destroy(p));
  }
  mkldnn_primitive_desc_t reorder(const_mkldnn_primitive_desc_t from,
                                  const_mkldnn_primitive_desc_t to,
                                  const_mkldnn_primitive_attr_t attr = nullptr) {
    return keep([&](mkldnn_primitive_desc_t *pd) {
      return api_.reorder_primitive_desc_create_v2(pd, from, to, attr);
    });
  }
  mkldnn_primitive_desc_t memory(const mkldnn_memory_desc_t &md) {
    return keep([&](mkldnn_primitive_desc_t *pd) {
      return api_.memory_primitive_desc_create(pd, &md, engine());
    });
  }
  // Of both, an output that is nullptr is chosen by MKL-DNN.
  mkldnn_primitive_desc_t sum(const mkldnn_memory_desc_t *output, const std::vector<float> &scales,
                              std::vector<Source> inputs) {
    return keep([&](mkldnn_primitive_desc_t *pd) {
      return api_.sum_primitive_desc_create(pd, output, static_cast<int>(scales.size()),
                                            scales.data(), inputs.data());
    });
  }
  mkldnn_primitive_desc_t concat(const mkldnn_memory_desc_t *output, int dimension,
                                 std::vector<Source> inputs) {
    return keep([&](mkldnn_primitive_desc_t *pd) {
      return api_.concat_primitive_desc_create(pd, output, static_cast<int>(inputs.size()),
                                               dimension, inputs.data());
    });
  }

  // The layouts of a descriptor's tensors in words.
  std::string layouts(const_mkldnn_primitive_desc_t pd) const {
    std::string all;
    for (const mkldnn_query_t what :
         {mkldnn_query_src_pd, mkldnn_query_diff_src_pd, mkldnn_query_weights_pd,
          mkldnn_query_diff_weights_pd, mkldnn_query_dst_pd, mkldnn_query_diff_dst_pd,
          mkldnn_query_workspace_pd}) {
      const auto layout = api_.primitive_desc_query_pd(pd, what, 0);
      const auto *md = layout != nullptr ? mkldnn_primitive_desc_query_memory_d(layout) : nullptr;
      if (md == nullptr) continue;
      const auto &blocking = md->layout_desc.blocking;
      all += text_of(*md, md->format, blocking.strides[0], blocking.padding_dims,
                     mkldnn_memory_primitive_desc_get_size(layout));
    }
    return all;
  }

  // Runs a primitive over random inputs, but for those given by index; returns its outputs.
  std::vector<Data> run(const_mkldnn_primitive_desc_t pd, const std::map<int, Data> &given = {}) {
    if (status_ != mkldnn_success) return {};
    std::vector<Data> results;
    std::vector<mkldnn_primitive_at_t> inputs;
    std::vector<const_mkldnn_primitive_t> outputs;
    const int n_inputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_inputs_s32, 0);
    const int n_outputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_outputs_s32, 0);
    for (int i = 0; i < n_inputs; ++i) {
      const auto layout = api_.primitive_desc_query_pd(pd, mkldnn_query_input_pd, i);
      const auto found = given.find(i);
      const Data data = found != given.end() ? found->second : new_buffer(layout);
      inputs.push_back(mkldnn_primitive_at(memory_object(layout, data), 0));
    }
    for (int i = 0; i < n_outputs; ++i) {
      const auto layout = api_.primitive_desc_query_pd(pd, mkldnn_query_output_pd, i);
      results.push_back(new_buffer(layout));
      outputs.push_back(memory_object(layout, results.back()));
    }
    const mkldnn_primitive_t p = create(pd, inputs, outputs);
    if (executes) submit(p);
    CHECK_OK(api_.primitive_destroy(p));
    for (const Data &data : results) all_results_.push_back(data);
    return results;
  }
  // The passes of an operation; the backward ones over what the forward one left for them.
  void run(const Operation &op, const std::vector<Pass> &passes) {
    const mkldnn_primitive_desc_t forward = operation(op);
    std::map<int, Data> left;
    for (const Pass pass : passes) {
      if (pass == operation::kForward) {
        left = inputs_left(op.kind, run(forward));
        if (op.kind == operation::kBatchNorm && status_ == mkldnn_success)
          REQUIRE(left.size() == 2);
      } else {
        run(operation(op, pass, forward), left);
      }
    }
  }
  // The inputs of a backward pass that are results of the forward one: workspaces, mean and
  // variance.
  static std::map<int, Data> inputs_left(operation::Kind kind, const std::vector<Data> &results) {
    std::map<int, Data> left;
    if (kind == operation::kBatchNorm && results.size() == 3) {
      left = {{1, results[1]}, {2, results[2]}};
    } else if (results.size() == 2) {
      left[kind == operation::kLrn ? 2 : 1] = results[1];
    }
    return left;
  }

  // The caller's to destroy, as long as it is not owned.
  mkldnn_primitive_t create(const_mkldnn_primitive_desc_t pd,
                            const std::vector<mkldnn_primitive_at_t> &inputs,
                            std::vector<const_mkldnn_primitive_t> outputs) {
    mkldnn_primitive_t p = nullptr;
    CHECK_OK(api_.primitive_create(&p, pd, inputs.data(), outputs.data()));
    REQUIRE(p != nullptr);
    return p;
  }

  void submit(mkldnn_primitive_t p, mkldnn_stream_kind_t kind = mkldnn_eager) {
    mkldnn_stream_t stream = nullptr;
    CHECK_OK(api_.stream_create(&stream, kind));
    CHECK_OK(api_.stream_submit(stream, 1, &p, nullptr));
    CHECK_OK(api_.stream_wait(stream, 1, nullptr));
    CHECK_OK(api_.stream_destroy(stream));
  }

  using SessionBase::new_buffer;
  Data new_buffer(const_mkldnn_primitive_desc_t layout) {
    REQUIRE(layout != nullptr);
    return new_buffer(mkldnn_memory_primitive_desc_get_size(layout),
                      mkldnn_primitive_desc_query_memory_d(layout)->data_type == mkldnn_f32);
  }
  mkldnn_primitive_t memory_object(const_mkldnn_primitive_desc_t layout, const Data &data) {
    mkldnn_primitive_t m = nullptr;
    CHECK_OK(api_.primitive_create(&m, layout, nullptr, nullptr));
    REQUIRE(m != nullptr);
    CHECK_OK(mkldnn_memory_set_data_handle(m, data->data));
    primitives_.push_back(m);
    return m;
  }
  void own(mkldnn_primitive_t p) { primitives_.push_back(p); }

 private:
  std::vector<mkldnn_primitive_t> primitives_;
};

}  // namespace real_session
