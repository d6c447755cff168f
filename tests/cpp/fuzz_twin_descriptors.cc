// The steps that make, ask, copy and destroy descriptors.
#include "fuzz_twin.h"

namespace fuzz {

void Twin::compare_contents(const char *what, const Both<const_mkldnn_primitive_desc_t> &pds) {
  if (pds.at[0] == nullptr || pds.at[1] == nullptr) {
    compare(what, pds.at[0] != nullptr, pds.at[1] != nullptr);
  } else {
    compare(what, world(0).fake.content(pds.at[0]), world(1).fake.content(pds.at[1]));
  }
}

void Twin::compare_contents(const char *what, const Both<mkldnn_primitive_desc_t> &pds) {
  Both<const_mkldnn_primitive_desc_t> readable;
  for (int w = 0; w < kWorlds; ++w) readable.at[w] = pds.at[w];
  compare_contents(what, readable);
}

void Twin::destroy(Descriptor *d) {
  if (!d->used()) return;
  both("primitive_desc_destroy",
       [&](const World &w, int i) { return w.primitive_desc_destroy(d->at[i]); });
  *d = Descriptor();
}

void Twin::keep(uint8_t slot, const Descriptor &d) {
  if (!d.used() || !same()) return;
  Descriptor &place = descriptors_[slot % kDescriptors];
  destroy(&place);
  place = d;
}

const Twin::Attr *Twin::pick_attr(uint8_t from) const {
  const int i = from % 8 == 0 ? pick(attrs_, static_cast<uint8_t>(from / 8)) : -1;
  return i < 0 ? nullptr : &attrs_[static_cast<size_t>(i)];
}

Twin::Descriptor Twin::make_hint(uint8_t kind, Pass pass, Variation variation, uint8_t how,
                                 int engine) {
  Descriptor hint;
  hint.engine = engine;
  if (pass == kForward || how % 4 == 0) return hint;
  if (how % 4 == 1) {
    const int i = pick(descriptors_, how, [](const Descriptor &d) { return !d.memory; });
    if (i < 0) return hint;
    const Descriptor &other = descriptors_[static_cast<size_t>(i)];
    hint.engine = other.engine;
    both("primitive_desc_clone",
         [&](const World &w, int t) { return w.primitive_desc_clone(&hint.at[t], other.at[t]); });
    return hint;
  }
  OpDesc forward;
  const Variation plain = {255, 0};
  fuzz::describe(kind, kForward, how % 4 == 2 ? variation : plain, &forward);
  const Engine &e = engines_[static_cast<size_t>(engine)];
  both("primitive_desc_create", [&](const World &w, int i) {
    return w.primitive_desc_create(&hint.at[i], &forward, e.at[i], nullptr);
  });
  return hint;
}

bool Twin::describe(Args a) {
  const int e = pick(engines_, a[6] % 4 == 0 ? 1 : 0);
  if (e < 0) return make_engine(a);
  const Engine &engine = engines_[static_cast<size_t>(e)];
  const Pass pass = static_cast<Pass>(a[2] % kPasses);
  const Variation variation = {a[3], a[4]};
  Descriptor hint = make_hint(a[1], pass, variation, a[5], e), made;
  made.engine = e;
  OpDesc d;
  fuzz::describe(a[1], pass, variation, &d);
  const Attr *attr = pick_attr(a[6]);
  const mkldnn_status_t status = both("primitive_desc_create", [&](const World &w, int i) {
    return attr == nullptr && a[6] % 2 == 0
               ? w.primitive_desc_create(&made.at[i], &d, engine.at[i], hint.at[i])
               : w.primitive_desc_create_v2(&made.at[i], &d,
                                            attr != nullptr ? attr->at[i] : nullptr, engine.at[i],
                                            hint.at[i]);
  });
  if (status == mkldnn_success) compare_contents("what was described", made);
  keep(a[0], made);
  destroy(&hint);
  return true;
}

bool Twin::describe_memory(Args a) {
  const int e = pick(engines_, a[6] % 4 == 0 ? 1 : 0);
  if (e < 0) return make_engine(a);
  const Engine &engine = engines_[static_cast<size_t>(e)];
  const Variation variation = {a[1], a[2]};
  const mkldnn_memory_desc_t md = fuzz::describe_memory(variation);
  Descriptor made;
  made.engine = e;
  made.memory = true;
  const mkldnn_status_t status = both("memory_primitive_desc_create", [&](const World &w, int i) {
    return w.memory_primitive_desc_create(&made.at[i], &md, engine.at[i]);
  });
  if (status == mkldnn_success) compare_contents("the memory described", made);
  keep(a[0], made);
  return true;
}

bool Twin::describe_view(Args a) {
  const int i = pick(descriptors_, a[1], [](const Descriptor &d) { return d.memory && !d.view; });
  if (i < 0) return false;
  const Descriptor &parent = descriptors_[static_cast<size_t>(i)];
  const int dims[] = {1, 1, 1, 1, 1}, offsets[] = {0, a[2] % 3, 0, 0, 0};
  Descriptor made;
  made.engine = parent.engine;
  made.memory = made.view = true;
  both("view_primitive_desc_create", [&](const World &w, int t) {
    return w.view_primitive_desc_create(&made.at[t], parent.at[t], dims, offsets);
  });
  compare_contents("the view", made);
  keep(a[0], made);
  return true;
}

std::vector<int> Twin::pick_memories(uint8_t from, size_t n) const {
  std::vector<int> found;
  for (size_t i = 0; i < n; ++i) {
    const int m = pick(descriptors_, static_cast<uint8_t>(from + 3 * i),
                       [](const Descriptor &d) { return d.memory; });
    if (m < 0) return {};
    found.push_back(m);
  }
  return found;
}

bool Twin::reorder(Args a) {
  const std::vector<int> m = pick_memories(a[1], 2);
  if (m.empty()) return false;
  const Descriptor &from = descriptors_[static_cast<size_t>(m[0])],
                   &to = descriptors_[static_cast<size_t>(m[1])];
  const Attr *attr = pick_attr(a[2]);
  Descriptor made;
  made.engine = from.engine;
  const mkldnn_status_t status = both("reorder_primitive_desc_create", [&](const World &w, int i) {
    return attr == nullptr
               ? w.reorder_primitive_desc_create(&made.at[i], from.at[i], to.at[i])
               : w.reorder_primitive_desc_create_v2(&made.at[i], from.at[i], to.at[i], attr->at[i]);
  });
  if (status == mkldnn_success) compare_contents("the reorder", made);
  keep(a[0], made);
  return true;
}

bool Twin::sum(Args a) {
  static const float kScales[] = {1.0f, 1.0f, 1.0f, 0.5f, -0.0f, 0.0f};
  const std::vector<int> m = pick_memories(a[1], 1 + a[2] % 3);
  if (m.empty()) return false;
  const int n = static_cast<int>(m.size());
  const float *scales = kScales + a[3] % 4;
  const mkldnn_memory_desc_t output = fuzz::describe_memory({a[4], a[5]});
  Descriptor made;
  made.engine = descriptors_[static_cast<size_t>(m[0])].engine;
  const mkldnn_status_t status = both("sum_primitive_desc_create", [&](const World &w, int i) {
    const_mkldnn_primitive_desc_t inputs[3];
    for (size_t j = 0; j < m.size(); ++j) inputs[j] = descriptors_[static_cast<size_t>(m[j])].at[i];
    return w.sum_primitive_desc_create(&made.at[i], a[6] % 2 != 0 ? &output : nullptr, n, scales,
                                       inputs);
  });
  if (status == mkldnn_success) compare_contents("the sum", made);
  keep(a[0], made);
  return true;
}

bool Twin::concat(Args a) {
  const std::vector<int> m = pick_memories(a[1], 1 + a[2] % 4);
  if (m.empty()) return false;
  const int n = static_cast<int>(m.size());
  const mkldnn_memory_desc_t output = fuzz::describe_memory({a[4], a[5]});
  Descriptor made;
  made.engine = descriptors_[static_cast<size_t>(m[0])].engine;
  const mkldnn_status_t status = both("concat_primitive_desc_create", [&](const World &w, int i) {
    const_mkldnn_primitive_desc_t inputs[4];
    for (size_t j = 0; j < m.size(); ++j) inputs[j] = descriptors_[static_cast<size_t>(m[j])].at[i];
    return w.concat_primitive_desc_create(&made.at[i], a[6] % 2 != 0 ? &output : nullptr, n,
                                          a[3] % 3, inputs);
  });
  if (status == mkldnn_success) compare_contents("the concat", made);
  keep(a[0], made);
  return true;
}

bool Twin::clone(Args a) {
  const int i = pick(descriptors_, a[1]);
  if (i < 0) return false;
  Descriptor copy = descriptors_[static_cast<size_t>(i)];
  const Descriptor from = copy;
  both("primitive_desc_clone",
       [&](const World &w, int t) { return w.primitive_desc_clone(&copy.at[t], from.at[t]); });
  compare_contents("the clone", copy);
  keep(a[0], copy);
  return true;
}

bool Twin::destroy_pd(Args a) {
  const int i = pick(descriptors_, a[0]);
  if (i < 0) return false;
  destroy(&descriptors_[static_cast<size_t>(i)]);
  return true;
}

bool Twin::query_layout(Args a) {
  static const mkldnn_query_t kQueries[] = {mkldnn_query_src_pd,       mkldnn_query_diff_src_pd,
                                            mkldnn_query_weights_pd,   mkldnn_query_diff_weights_pd,
                                            mkldnn_query_dst_pd,       mkldnn_query_diff_dst_pd,
                                            mkldnn_query_workspace_pd, mkldnn_query_input_pd};
  const int i = pick(descriptors_, a[1]);
  if (i < 0) return false;
  const Descriptor &d = descriptors_[static_cast<size_t>(i)];
  Both<const_mkldnn_primitive_desc_t> answer;
  for (int w = 0; w < kWorlds; ++w) {
    answer.at[w] = world(w).primitive_desc_query_pd(d.at[w], kQueries[a[2] % 8], a[3] % 3);
  }
  compare_contents("the layout", answer);
  if (!answer.used() || !same() || a[4] % 2 == 0) return true;
  Descriptor copy;
  copy.engine = d.engine;
  copy.memory = true;
  both("primitive_desc_clone",
       [&](const World &w, int t) { return w.primitive_desc_clone(&copy.at[t], answer.at[t]); });
  compare_contents("the clone of a layout", copy);
  keep(a[0], copy);
  return true;
}

bool Twin::query_numbers(Args a) {
  const int i = pick(descriptors_, a[0]);
  if (i < 0) return false;
  const Descriptor &d = descriptors_[static_cast<size_t>(i)];
  for (const mkldnn_query_t what :
       {mkldnn_query_num_of_inputs_s32, mkldnn_query_num_of_outputs_s32}) {
    compare("a number", world(0).primitive_desc_query_s32(d.at[0], what, 0),
            world(1).primitive_desc_query_s32(d.at[1], what, 0));
  }
  int kinds[kWorlds] = {};
  both("the kind", [&](const World &w, int t) {
    return w.primitive_desc_query(d.at[t], mkldnn_query_primitive_kind, 0, &kinds[t]);
  });
  compare("the kind", kinds[0], kinds[1]);
  const char *names[kWorlds] = {"", ""};
  both("the implementation", [&](const World &w, int t) {
    return w.primitive_desc_query(d.at[t], mkldnn_query_impl_info_str, 0, &names[t]);
  });
  compare("the implementation", std::string(names[0]), std::string(names[1]));
  Both<mkldnn_engine_t> engine;
  both("the engine", [&](const World &w, int t) {
    return w.primitive_desc_query(d.at[t], mkldnn_query_engine, 0, &engine.at[t]);
  });
  for (int w = 0; w < kWorlds; ++w) {
    compare("the engine", engine.at[w], engines_[static_cast<size_t>(d.engine)].at[w]);
  }
  compare("a memory's description", world(0).primitive_desc_query_memory_d(d.at[0]) != nullptr,
          world(1).primitive_desc_query_memory_d(d.at[1]) != nullptr);
  if (d.memory) {
    compare("the size", world(0).memory_primitive_desc_get_size(d.at[0]),
            world(1).memory_primitive_desc_get_size(d.at[1]));
  }
  Both<const_mkldnn_primitive_attr_t> attr;
  both("primitive_desc_get_attr",
       [&](const World &w, int t) { return w.primitive_desc_get_attr(d.at[t], &attr.at[t]); });
  const_mkldnn_post_ops_t post_ops[kWorlds];
  int count[kWorlds], mask[kWorlds];
  const float *scales[kWorlds];
  for (int w = 0; same() && w < kWorlds; ++w) {
    world(w).primitive_attr_get_output_scales(attr.at[w], &count[w], &mask[w], &scales[w]);
    world(w).primitive_attr_get_post_ops(attr.at[w], &post_ops[w]);
  }
  if (!same()) return true;
  compare("scales", count[0], count[1]);
  compare("mask", mask[0], mask[1]);
  compare("a scale", scales[0][0], scales[1][0]);
  compare("post-ops", world(0).post_ops_len(post_ops[0]), world(1).post_ops_len(post_ops[1]));
  return true;
}

bool Twin::compare_memories(Args a) {
  const std::vector<int> m = pick_memories(a[0], 2);
  if (m.empty()) return false;
  const Descriptor &x = descriptors_[static_cast<size_t>(m[0])],
                   &y = descriptors_[static_cast<size_t>(m[1])];
  compare("memory_primitive_desc_equal", world(0).memory_primitive_desc_equal(x.at[0], y.at[0]),
          world(1).memory_primitive_desc_equal(x.at[1], y.at[1]));
  return true;
}

}  // namespace fuzz
