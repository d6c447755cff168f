// The steps with descriptors, attributes and iterators.
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
  BOTH(primitive_desc_destroy, d->at[i]);
  *d = Descriptor();
}

void Twin::keep(uint8_t slot, const Descriptor &d) {
  if (!d.used() || !same()) return;
  Descriptor &place = descriptors_[slot % kDescriptors];
  destroy(&place);
  place = d;
}

const Twin::Attr *Twin::pick_attr(uint8_t from) const {
  return from % 8 == 0 ? pick(attrs_, static_cast<uint8_t>(from / 8)) : nullptr;
}

Twin::Descriptor Twin::make_hint(uint8_t kind, Pass pass, Variation variation, uint8_t how,
                                 const Engine &engine) {
  Descriptor hint(number_of(&engine));
  if (pass == kForward || how % 4 == 0) return hint;
  if (how % 4 == 1) {
    const Descriptor *other =
        pick(descriptors_, how, [](const Descriptor &d) { return !d.memory; });
    if (other == nullptr) return hint;
    hint.engine = other->engine;
    BOTH(primitive_desc_clone, &hint.at[i], other->at[i]);
    return hint;
  }
  OpDesc forward;
  const Variation plain = {255, 0};
  fuzz::describe(kind, kForward, how % 4 == 2 ? variation : plain, &forward);
  BOTH(primitive_desc_create, &hint.at[i], &forward, engine.at[i], nullptr);
  return hint;
}

bool Twin::describe(Args a) {
  const Engine *engine = pick(engines_, a[6] % 4 == 0 ? 1 : 0);
  if (engine == nullptr) return make_engine(a);
  const Pass pass = static_cast<Pass>(a[2] % kPasses);
  const Variation variation = {a[3], a[4]};
  Descriptor hint = make_hint(a[1], pass, variation, a[5], *engine);
  OpDesc d;
  fuzz::describe(a[1], pass, variation, &d);
  const Attr *attr = pick_attr(a[6]);
  MAKE(a[0], Descriptor(number_of(engine)), "what was described",
       attr == nullptr && a[6] % 2 == 0
           ? w.primitive_desc_create(pd, &d, engine->at[i], hint.at[i])
           : w.primitive_desc_create_v2(pd, &d, attr != nullptr ? attr->at[i] : nullptr,
                                        engine->at[i], hint.at[i]));
  destroy(&hint);
  return true;
}

bool Twin::describe_memory(Args a) {
  const Engine *engine = pick(engines_, a[6] % 4 == 0 ? 1 : 0);
  if (engine == nullptr) return make_engine(a);
  const mkldnn_memory_desc_t md = fuzz::describe_memory({a[1], a[2]});
  return MAKE(a[0], Descriptor(number_of(engine), true), "the memory described",
              w.memory_primitive_desc_create(pd, &md, engine->at[i]));
}

bool Twin::describe_view(Args a) {
  PICKED(parent, pick(descriptors_, a[1], [](const Descriptor &d) { return d.memory && !d.view; }));
  const int dims[] = {1, 1, 1, 1, 1}, offsets[] = {0, a[2] % 3, 0, 0, 0};
  return MAKE(a[0], Descriptor(parent->engine, true, true), "the view",
              w.view_primitive_desc_create(pd, parent->at[i], dims, offsets));
}

std::vector<const Twin::Descriptor *> Twin::pick_memories(uint8_t from, size_t n) const {
  std::vector<const Descriptor *> found;
  for (size_t i = 0; i < n; ++i) {
    found.push_back(pick(descriptors_, static_cast<uint8_t>(from + 3 * i),
                         [](const Descriptor &d) { return d.memory; }));
    if (found.back() == nullptr) return {};
  }
  return found;
}

bool Twin::reorder(Args a) {
  const auto m = pick_memories(a[1], 2);
  if (m.empty()) return false;
  const Attr *attr = pick_attr(a[2]);
  return MAKE(a[0], Descriptor(m[0]->engine), "the reorder",
              attr == nullptr
                  ? w.reorder_primitive_desc_create(pd, m[0]->at[i], m[1]->at[i])
                  : w.reorder_primitive_desc_create_v2(pd, m[0]->at[i], m[1]->at[i], attr->at[i]));
}

// A sum, or a concat, over memories.
template <class Call>
bool Twin::make_of_many(Args a, size_t n, const char *what, const Call &call) {
  const auto m = pick_memories(a[1], n);
  if (m.empty()) return false;
  const mkldnn_memory_desc_t output = fuzz::describe_memory({a[4], a[5]});
  return make(a[0], Descriptor(m[0]->engine), what,
              [&](const World &w, int i, mkldnn_primitive_desc_t *pd) {
                const_mkldnn_primitive_desc_t inputs[4];
                for (size_t j = 0; j < n; ++j) inputs[j] = m[j]->at[i];
                return call(w, pd, a[6] % 2 != 0 ? &output : nullptr, static_cast<int>(n), inputs);
              });
}

bool Twin::sum(Args a) {
  static const float kScales[] = {1.0f, 1.0f, 1.0f, 0.5f, -0.0f, 0.0f};
  return make_of_many(a, 1 + a[2] % 3, "the sum",
                      [=](const World &w, mkldnn_primitive_desc_t *pd, auto output, int n,
                          const_mkldnn_primitive_desc_t *inputs) {
                        return w.sum_primitive_desc_create(pd, output, n, kScales + a[3] % 4,
                                                           inputs);
                      });
}

bool Twin::concat(Args a) {
  return make_of_many(a, 1 + a[2] % 4, "the concat",
                      [=](const World &w, mkldnn_primitive_desc_t *pd, auto output, int n,
                          const_mkldnn_primitive_desc_t *inputs) {
                        return w.concat_primitive_desc_create(pd, output, n, a[3] % 3, inputs);
                      });
}

bool Twin::clone(Args a) {
  PICKED(from, pick(descriptors_, a[1]));
  return MAKE(a[0], Descriptor(from->engine, from->memory, from->view), "the clone",
              w.primitive_desc_clone(pd, from->at[i]));
}

bool Twin::destroy_pd(Args a) {
  Descriptor *d = pick(descriptors_, a[0]);
  if (d != nullptr) destroy(d);
  return d != nullptr;
}

bool Twin::query_layout(Args a) {
  static const mkldnn_query_t kQueries[] = {mkldnn_query_src_pd,       mkldnn_query_diff_src_pd,
                                            mkldnn_query_weights_pd,   mkldnn_query_diff_weights_pd,
                                            mkldnn_query_dst_pd,       mkldnn_query_diff_dst_pd,
                                            mkldnn_query_workspace_pd, mkldnn_query_input_pd};
  PICKED(d, pick(descriptors_, a[1]));
  Both<const_mkldnn_primitive_desc_t> answer;
  for (int w = 0; w < kWorlds; ++w) {
    answer.at[w] = world(w).primitive_desc_query_pd(d->at[w], kQueries[a[2] % 8], a[3] % 3);
  }
  compare_contents("the layout", answer);
  if (!answer.used() || !same() || a[4] % 2 == 0) return true;
  return MAKE(a[0], Descriptor(d->engine, true), "the clone of a layout",
              w.primitive_desc_clone(pd, answer.at[i]));
}

namespace {

// What a query says, and with which status.
template <class T>
std::string queried(const World &w, const_mkldnn_primitive_desc_t pd, mkldnn_query_t what,
                    T answer) {
  std::ostringstream text;
  text << w.primitive_desc_query(pd, what, 0, &answer) << ": ";
  text << answer;
  return text.str();
}

std::string attributes(const World &w, const_mkldnn_primitive_desc_t pd) {
  const_mkldnn_primitive_attr_t attr = nullptr;
  const mkldnn_status_t status = w.primitive_desc_get_attr(pd, &attr);
  if (status != mkldnn_success) return "status " + std::to_string(status);
  int count = 0, mask = 0;
  const float *scales = nullptr;
  const_mkldnn_post_ops_t post_ops = nullptr;
  w.primitive_attr_get_output_scales(attr, &count, &mask, &scales);
  w.primitive_attr_get_post_ops(attr, &post_ops);
  std::ostringstream text;
  text << count << " scales from " << scales[0] << " on, mask " << mask << ", "
       << w.post_ops_len(post_ops) << " post-ops";
  return text.str();
}

}  // namespace

bool Twin::query_numbers(Args a) {
  PICKED(picked, pick(descriptors_, a[0]));
  const Descriptor &d = *picked;
  for (const mkldnn_query_t what :
       {mkldnn_query_num_of_inputs_s32, mkldnn_query_num_of_outputs_s32}) {
    ASK("a number", w.primitive_desc_query_s32(d.at[i], what, 0));
  }
  ASK("the kind", queried(w, d.at[i], mkldnn_query_primitive_kind, 0));
  ASK("the implementation", queried(w, d.at[i], mkldnn_query_impl_info_str, ""));
  Both<mkldnn_engine_t> engine;
  BOTH(primitive_desc_query, d.at[i], mkldnn_query_engine, 0, &engine.at[i]);
  for (int w = 0; w < kWorlds; ++w) {
    compare("the engine", engine.at[w], engines_[static_cast<size_t>(d.engine)].at[w]);
  }
  ASK("a memory's description", w.primitive_desc_query_memory_d(d.at[i]) != nullptr);
  if (d.memory) ASK("the size", w.memory_primitive_desc_get_size(d.at[i]));
  if (same()) ASK("the attributes", attributes(w, d.at[i]));
  return true;
}

bool Twin::compare_memories(Args a) {
  const auto m = pick_memories(a[0], 2);
  if (m.empty()) return false;
  ASK("memory_primitive_desc_equal", w.memory_primitive_desc_equal(m[0]->at[i], m[1]->at[i]));
  return true;
}

// Attributes

bool Twin::attr_change(Args a) {
  static const float kScales[] = {0.5f, 2.0f, 2.0f};
  Attr &attr = attrs_[a[0] % kAttrs];
  for (int w = 0; w < kWorlds; ++w) {
    const World &api = world(w);
    if (attr.at[w] == nullptr) api.primitive_attr_create(&attr.at[w]);
    switch (a[1] % 4) {
      case 0:
        api.primitive_attr_set_int_output_round_mode(
            attr.at[w], a[2] % 2 == 0 ? mkldnn_round_nearest : mkldnn_round_down);
        break;
      case 1:
        api.primitive_attr_set_output_scales(attr.at[w], 1 + a[2] % 2, a[3] % 3,
                                             kScales + a[4] % 2);
        break;
      default: {
        mkldnn_post_ops_t post_ops = nullptr;
        api.post_ops_create(&post_ops);
        if (a[2] % 2 == 0) api.post_ops_append_sum(post_ops, kScales[a[3] % 2]);
        if (a[2] % 3 == 0) {
          api.post_ops_append_eltwise(post_ops, kScales[a[4] % 2],
                                      a[5] % 2 == 0 ? mkldnn_eltwise_relu : mkldnn_eltwise_tanh,
                                      kScales[a[5] / 2 % 2], kScales[a[6] % 2]);
        }
        api.primitive_attr_set_post_ops(attr.at[w], post_ops);
        api.post_ops_destroy(post_ops);
      }
    }
  }
  return true;
}

bool Twin::attr_clone(Args a) {
  const Attr *from = pick(attrs_, a[0]);
  Attr &to = attrs_[a[1] % kAttrs];
  if (from == nullptr || to.used()) return false;
  BOTH(primitive_attr_clone, &to.at[i], from->at[i]);
  return true;
}

bool Twin::attr_destroy(Args a) {
  PICKED(attr, pick(attrs_, a[0]));
  BOTH(primitive_attr_destroy, attr->at[i]);
  *attr = Attr();
  return true;
}

// Iterators

bool Twin::iterate(Args a) {
  const Engine *engine = pick(engines_, a[6] % 4 == 0 ? 1 : 0);
  if (engine == nullptr) return make_engine(a);
  const uint8_t slot[] = {a[0]};
  iterator_destroy(slot);
  Iterator &it = iterators_[a[0] % kIterators];
  if (it.used()) return false;
  const Pass pass = static_cast<Pass>(a[2] % kPasses);
  const Variation variation = {a[3], a[4]};
  it.engine = number_of(engine);
  it.hint = make_hint(a[1], pass, variation, a[5], *engine);
  it.op_desc = std::make_unique<OpDesc>();
  fuzz::describe(a[1], pass, variation, it.op_desc.get());
  const Attr *attr = pick_attr(a[6]);
  both("primitive_desc_iterator_create", [&](const World &w, int i) {
    return attr == nullptr && a[6] % 2 == 0
               ? w.primitive_desc_iterator_create(&it.at[i], it.op_desc.get(), engine->at[i],
                                                  it.hint.at[i])
               : w.primitive_desc_iterator_create_v2(&it.at[i], it.op_desc.get(),
                                                     attr != nullptr ? attr->at[i] : nullptr,
                                                     engine->at[i], it.hint.at[i]);
  });
  if (!it.used()) destroy(&it.hint);
  return true;
}

bool Twin::iterator_next(Args a) {
  PICKED(it, pick(iterators_, a[0]));
  BOTH(primitive_desc_iterator_next, it->at[i]);
  return true;
}

bool Twin::iterator_fetch(Args a) {
  PICKED(it, pick(iterators_, a[1]));
  Descriptor made(it->engine);
  for (int w = 0; w < kWorlds; ++w) made.at[w] = world(w).primitive_desc_iterator_fetch(it->at[w]);
  compare_contents("what was fetched", made);
  keep(a[0], made);
  return true;
}

bool Twin::iterator_destroy(Args a) {
  PICKED(it, pick(iterators_, a[0]));
  BOTH(primitive_desc_iterator_destroy, it->at[i]);
  destroy(&it->hint);
  *it = Iterator();
  return true;
}

}  // namespace fuzz
