// The steps with attributes and iterators.
#include "fuzz_twin.h"

namespace fuzz {

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
  Attr *attr = pick(attrs_, a[0]);
  if (attr == nullptr) return false;
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
  const Iterator *it = pick(iterators_, a[0]);
  if (it == nullptr) return false;
  BOTH(primitive_desc_iterator_next, it->at[i]);
  return true;
}

bool Twin::iterator_fetch(Args a) {
  const Iterator *it = pick(iterators_, a[1]);
  if (it == nullptr) return false;
  Descriptor made(it->engine);
  for (int w = 0; w < kWorlds; ++w) made.at[w] = world(w).primitive_desc_iterator_fetch(it->at[w]);
  compare_contents("what was fetched", made);
  keep(a[0], made);
  return true;
}

bool Twin::iterator_destroy(Args a) {
  Iterator *it = pick(iterators_, a[0]);
  if (it == nullptr) return false;
  BOTH(primitive_desc_iterator_destroy, it->at[i]);
  destroy(&it->hint);
  *it = Iterator();
  return true;
}

}  // namespace fuzz
