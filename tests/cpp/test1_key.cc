// The identity of a description of MKL-DNN 1.0, seen from outside. Every byte of every kind of
// description is flipped in turn: what the library hands out must be what MKL-DNN creates from
// these bytes. The fake reads descriptions by itself, so a field that the key lacks shows as
// another's content; bytes that mean nothing are garbage, and differ from call to call.
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "workload.h"

using namespace workload;

namespace {

typedef std::function<mkldnn_status_t(const api::Api &, mkldnn_primitive_desc_t *)> Create;

// Through the library and past it: the same status, the same content. The content; 0: refused.
uint64_t same_content(const Create &create, const std::string &what) {
  Described cached, expected;
  const mkldnn_status_t status = create(api::direct(), &expected.handle);
  CHECK_TEXT(create(api::through(), &cached.handle) == status, what);
  if (status != mkldnn_success) return 0;
  const uint64_t content = fake_content(expected);
  CHECK_TEXT(fake_content(cached) == content, what << ": a wrong hit");
  return content;
}

void flip_every_byte(void *data, size_t size, const std::string &name, const Create &create) {
  unsigned char *const bytes = static_cast<unsigned char *>(data);
  const uint64_t base = same_content(create, name);
  int told_apart = 0;
  for (size_t i = 0; i < size && check::failures() < 20; ++i) {
    for (const unsigned char mask : {0x01, 0x80}) {
      bytes[i] ^= mask;
      told_apart += same_content(create, name + " byte " + std::to_string(i)) != base;
      bytes[i] ^= mask;
    }
    if (i % 64 == 0) CHECK_EQ(same_content(create, name), base);
  }
  CHECK_TEXT(told_apart > 40, name << " " << told_apart);  // else nothing was tried
}
template <class T>
void flip(T *data, const std::string &name, const Create &create) {
  flip_every_byte(data, sizeof(*data), name, create);
}

}  // namespace

CACHED_SCENE(operations) {
  fake_reuse_addresses(1);
  for (const What what : known_kinds()) {
    if (kRows[what].kind == operation::kKinds) continue;
    operation::OpDesc d = op_desc(what, 4);
    flip(&d, name_of(what), [&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.describe(result, &d, nullptr, engine, nullptr);
    });
  }
}

// Of a hint that the library knows, and of one that it does not.
CACHED_SCENE(hints) {
  fake_reuse_addresses(1);
  const operation::OpDesc backward = op_desc(kReluBackward, 4);
  operation::OpDesc forward = op_desc(kReluForward, 4);
  for (const api::Api *hinting : {&api::through(), &api::direct()}) {
    flip(&forward.eltwise, "hint", [&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      Described hint;
      const mkldnn_status_t status =
          hinting->describe(&hint.handle, &forward, nullptr, engine, nullptr);
      return status != mkldnn_success ? status
                                      : a.describe(result, &backward, nullptr, engine, hint);
    });
  }
}

CACHED_SCENE(layouts) {
  fake_reuse_addresses(1);
  const float scales[] = {1.0f, 2.0f};
  mkldnn_memory_desc_t mds[] = {image(4), image(4, mkldnn_nChw8c), image(4, mkldnn_nhwc)};
  flip(&mds, "reorder", [&](const api::Api &a, mkldnn_primitive_desc_t *result) {
    return a.reorder_primitive_desc_create(result, &mds[0], engine, &mds[1], engine, nullptr);
  });
  for (const mkldnn_memory_desc_t *output : {static_cast<const mkldnn_memory_desc_t *>(nullptr),
                                             static_cast<const mkldnn_memory_desc_t *>(mds)}) {
    flip(&mds, "sum", [&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.sum_primitive_desc_create(result, output, 2, scales, mds + 1, nullptr, engine);
    });
    flip(&mds, "concat", [&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.concat_primitive_desc_create(result, output, 2, 1, mds + 1, nullptr, engine);
    });
  }
}

// What it passes through is no error; each reason is said once.
static std::string unknown(std::initializer_list<const char *> reasons) {
  std::string lines;
  for (const char *reason : reasons) lines += check::passing_through(reason);
  return lines;
}
TEST(every_byte_of_operations) {
  check::run_well("operations", {ASSUME}, unknown({"unknown_description", "unknown_kind"}));
}
TEST(every_byte_of_hints) {
  check::run_well("hints", {ASSUME}, unknown({"unknown_description", "unknown_kind"}));
}
TEST(every_byte_of_layouts) {
  check::run_well("layouts", {ASSUME}, unknown({"unknown_description"}));
}

// What stands beside descriptions: attributes, engines, numbers, scales. Twice, so that the second
// time all of it is known.
static void arguments_beside_descriptions(mkldnn_engine_t engine, mkldnn_engine_t other) {
  const operation::OpDesc relu = op_desc(kReluForward, 4), again = op_desc(kReluForward, 4);
  const mkldnn_memory_desc_t mds[] = {image(4), image(4), image(4, mkldnn_nhwc)};
  const float two[] = {0.5f, 2.0f}, other_two[] = {0.5f, 3.0f};
  std::vector<Attr> attrs(8);
  attrs[1].create();
  attrs[2].scale(0.5f);
  for (const size_t i : {3, 4}) {
    attrs[i].create();
    CHECK_OK(mkldnn_primitive_attr_set_output_scales(attrs[i], 2, 2, i == 3 ? two : other_two));
  }
  attrs[5].post(PostOps().sum(1.0f));
  attrs[6].post(PostOps().sum(0.5f));
  attrs[7].post(PostOps().sum(1.0f).eltwise(mkldnn_eltwise_relu));
  std::set<uint64_t> contents;
  for (int round = 0; round < 2; ++round) {
    const auto add = [&](const Create &create) {
      const long before = fake_created(kFakeDescriptor);
      contents.insert(same_content(create, "beside"));
      if (round == 1) CHECK_EQ(fake_created(kFakeDescriptor), before + 1);  // past the library
    };
    for (const Attr &attr : attrs) {
      for (const operation::OpDesc *d : {&relu, &again}) {
        add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
          return a.describe(result, d, attr, engine, nullptr);
        });
      }
      add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
        return a.reorder_primitive_desc_create(result, &mds[0], engine, &mds[2], engine, attr);
      });
      add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
        return a.sum_primitive_desc_create(result, nullptr, 2, two, mds, attr, engine);
      });
      add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
        return a.concat_primitive_desc_create(result, nullptr, 2, 1, mds, attr, engine);
      });
    }
    CHECK_EQ(contents.size(), round == 0 ? 4 * 7 : 4 * 7 + 8);  // no attribute is the default
    for (const mkldnn_engine_t from : {engine, other}) {
      for (const mkldnn_engine_t to : {engine, other}) {
        add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
          return a.reorder_primitive_desc_create(result, &mds[0], from, &mds[2], to, nullptr);
        });
      }
    }
    add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.describe(result, &relu, nullptr, other, nullptr);
    });
    add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.sum_primitive_desc_create(result, nullptr, 2, other_two, mds, nullptr, engine);
    });
    add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.sum_primitive_desc_create(result, nullptr, 1, two, mds, nullptr, engine);
    });
    add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.concat_primitive_desc_create(result, &mds[0], 2, 1, mds, nullptr, engine);
    });
    add([&](const api::Api &a, mkldnn_primitive_desc_t *result) {
      return a.concat_primitive_desc_create(result, nullptr, 2, 2, mds, nullptr, engine);
    });
    CHECK_EQ(contents.size(), 4 * 7 + 8);
  }
}

TEST(every_argument_beside_descriptions, ASSUME) {
  Engine one, other;
  on_thread([&] { arguments_beside_descriptions(one, other); });
  one.reset();
  other.reset();
  check_end();
}
