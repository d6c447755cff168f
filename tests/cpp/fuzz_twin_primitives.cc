// The steps that make, ask, execute and destroy primitives, memory objects and streams; and those
// with arguments that are wrong.
#include "fuzz_twin.h"
#include "wrong_calls.h"

namespace fuzz {

namespace {

// Distinct addresses, never read or written; the same in both worlds.
void *data_at(uint8_t n) {
  static char bytes[256 * 16];
  return bytes + 16 * n;
}

}  // namespace

Twin::ObjectPtr Twin::pick_object(const std::vector<ObjectPtr> &from, uint8_t first,
                                  bool runnable) const {
  for (size_t i = 0; i < from.size(); ++i) {
    const ObjectPtr &object = from[(first + i) % from.size()];
    if (object != nullptr && (!runnable || object->runnable())) return object;
  }
  return nullptr;
}

void Twin::destroy(const ObjectPtr &object) {
  // A cached one is destroyed by the thread that made it, while that one lives. When it does not,
  // another may have its number by now.
  if (object->life != lives_[object->thread]) {
    foreign_destroys_known_ = false;
    has_orphans_ = true;
  } else if (!object->memory && !object->cached && object->thread != thread_) {
    ++foreign_destroys_;
  }
  BOTH(primitive_destroy, object->at[i]);
  object->alive = false;
}

void Twin::keep(std::vector<ObjectPtr> *slots, uint8_t slot, const ObjectPtr &object) {
  ObjectPtr &place = (*slots)[slot % slots->size()];
  if (!object->used() || !same()) return;
  if (place != nullptr) destroy(place);
  place = object;
}

void Twin::create_object(const ObjectPtr &object, const Both<const_mkldnn_primitive_desc_t> &pd) {
  const long primitives = world(0).fake.created(kFakePrimitive),
             memories = world(0).fake.created(kFakeMemory);
  both("primitive_create", [&](const World &w, int i) {
    std::vector<mkldnn_primitive_at_t> inputs(1);
    std::vector<const_mkldnn_primitive_t> outputs(1);
    inputs.clear();
    outputs.clear();
    for (const auto &input : object->inputs) {
      const mkldnn_primitive_at_t at = {input.first != nullptr ? input.first->at[i] : nullptr,
                                        input.second};
      inputs.push_back(at);
    }
    for (const ObjectPtr &output : object->outputs) outputs.push_back(output->at[i]);
    return w.primitive_create(&object->at[i], pd.at[i], inputs.data(), outputs.data());
  });
  object->thread = thread_;
  object->life = lives_[thread_];
  // What the library makes to keep, it makes over memory objects of its own.
  object->cached = world(0).fake.created(kFakePrimitive) == primitives ||
                   world(0).fake.created(kFakeMemory) != memories;
}

bool Twin::make_memory(Args a) {
  const Descriptor *picked = pick(descriptors_, a[1]);
  if (picked == nullptr) return describe_memory(a);
  const Descriptor &d = *picked;
  Both<const_mkldnn_primitive_desc_t> layout;
  for (int w = 0; w < kWorlds; ++w) {
    layout.at[w] = d.memory
                       ? d.at[w]
                       : world(w).primitive_desc_query_pd(
                             d.at[w], a[3] % 2 == 0 ? mkldnn_query_src_pd : mkldnn_query_dst_pd, 0);
  }
  compare_contents("the layout", layout);
  if (!layout.used() || !same()) return true;
  const ObjectPtr object = std::make_shared<Object>();
  object->engine = d.engine;
  object->memory = true;
  object->view = d.view;
  if (d.view) {
    const ObjectPtr parent = pick_object(memories_, a[4], true);
    if (parent == nullptr || parent->view) return false;
    object->inputs.emplace_back(parent, 0);
  }
  create_object(object, layout);
  keep(&memories_, a[0], object);
  if (object->view || !same()) return true;
  // A new memory object points nowhere.
  void *data[kWorlds] = {};
  BOTH(memory_get_data_handle, object->at[i], &data[i]);
  compare("a new memory's data", data[0], data[1]);
  if (a[5] % 8 == 0) return true;
  BOTH(memory_set_data_handle, object->at[i], data_at(a[2]));
  return true;
}

bool Twin::move_data(Args a) {
  PICKED(object, pick_object(a[2] % 16 == 0 ? primitives_ : memories_, a[0], false));
  BOTH(memory_set_data_handle, object->at[i], a[1] == 0 ? nullptr : data_at(a[1]));
  void *data[kWorlds] = {};
  BOTH(memory_get_data_handle, object->at[i], &data[i]);
  compare("data", data[0], data[1]);
  return true;
}

bool Twin::destroy_one(std::vector<ObjectPtr> *slots, uint8_t from) {
  PICKED(object, pick_object(*slots, from, false));
  destroy(object);
  for (ObjectPtr &slot : *slots) {
    if (slot == object) slot.reset();
  }
  return true;
}

bool Twin::destroy_memory(Args a) { return destroy_one(&memories_, a[0]); }

bool Twin::destroy_primitive(Args a) { return destroy_one(&primitives_, a[0]); }

bool Twin::make_primitive(Args a) {
  const Descriptor *picked =
      pick(descriptors_, a[1], [](const Descriptor &d) { return !d.memory; });
  if (picked == nullptr) return describe(a);
  const Descriptor &d = *picked;
  const int n_inputs =
      world(1).primitive_desc_query_s32(d.at[1], mkldnn_query_num_of_inputs_s32, 0);
  const int n_outputs =
      world(1).primitive_desc_query_s32(d.at[1], mkldnn_query_num_of_outputs_s32, 0);
  const ObjectPtr object = std::make_shared<Object>();
  object->engine = d.engine;
  for (int i = 0; i < n_inputs + n_outputs; ++i) {
    const ObjectPtr m = pick_object(memories_, static_cast<uint8_t>(a[2] + i * (a[3] % 5)), true);
    if (m == nullptr) return make_memory(a);
    if (i < n_inputs) {
      object->inputs.emplace_back(m, 0);
    } else {
      object->outputs.push_back(m);
    }
  }
  // Another primitive's output is an input, by name; sometimes one that it has not.
  const ObjectPtr other = a[4] % 3 == 0 ? pick_object(primitives_, a[5], true) : nullptr;
  if (other != nullptr && n_inputs > 0) {
    object->inputs[a[5] % object->inputs.size()] = {other, a[6] % 8 == 0 ? 1 : 0};
  }
  if (a[4] == 255 && n_inputs > 0) object->inputs[0].first = nullptr;
  Both<const_mkldnn_primitive_desc_t> pd;
  for (int w = 0; w < kWorlds; ++w) pd.at[w] = d.at[w];
  create_object(object, pd);
  keep(&primitives_, a[0], object);
  return true;
}

bool Twin::ask_primitive(Args a) {
  PICKED(object, pick_object(a[0] % 4 == 0 ? memories_ : primitives_, a[1], false));
  Both<const_mkldnn_primitive_desc_t> pd;
  BOTH(primitive_get_primitive_desc, object->at[i], &pd.at[i]);
  compare_contents("a primitive's descriptor", pd);
  for (size_t n = 0; same() && n <= object->inputs.size(); ++n) {
    mkldnn_primitive_at_t input[kWorlds] = {};
    const mkldnn_status_t status = BOTH(primitive_get_input_at, object->at[i], n, &input[i]);
    if (status != mkldnn_success || n == object->inputs.size()) continue;
    // When a primitive that is not cached is told that its input is a cached one's output, it gets
    // the memory object behind it, and says so (create_uncached in primitives.cc). Beside others it
    // is not known which is cached.
    const ObjectPtr expected = object->inputs[n].first;
    const bool behind = !expected->memory && (!alone_ || (!object->cached && expected->cached));
    compare("an input", input[1].primitive == expected->at[1], true);
    if (!behind) {
      compare("an input's output index", input[0].output_index, input[1].output_index);
      compare("an input", input[0].primitive == expected->at[0], true);
    }
  }
  for (size_t n = 0; same() && n <= object->outputs.size(); ++n) {
    const_mkldnn_primitive_t output[kWorlds] = {};
    const mkldnn_status_t status = BOTH(primitive_get_output, object->at[i], n, &output[i]);
    if (status != mkldnn_success) continue;
    const ObjectPtr expected = object->memory ? object : object->outputs[n];
    for (int w = 0; w < kWorlds; ++w) compare("an output", output[w] == expected->at[w], true);
  }
  if (!object->memory || object->view || a[3] % 2 == 0 || !same()) return true;
  return make(a[2], Descriptor(object->engine, true), "the clone of a memory's descriptor",
              [&](const World &w, int i, mkldnn_primitive_desc_t *copy) {
                return w.primitive_desc_clone(copy, pd.at[i]);
              });
}

// Streams

bool Twin::run(Args a) {
  PICKED(object, pick_object(primitives_, a[0], true));
  both("an eager stream", [&](const World &w, int i) {
    mkldnn_stream_t stream = nullptr;
    mkldnn_status_t status = w.stream_create(&stream, mkldnn_eager);
    if (status == mkldnn_success) status = w.stream_submit(stream, 1, &object->at[i], nullptr);
    if (status == mkldnn_success) status = w.stream_wait(stream, 1, nullptr);
    if (stream != nullptr) w.stream_destroy(stream);
    return status;
  });
  return true;
}

bool Twin::make_stream(Args a) {
  Stream &stream = streams_[a[0] % kStreams];
  if (stream.used()) return false;
  stream.lazy = a[1] % 2 == 0;
  BOTH(stream_create, &stream.at[i], stream.lazy ? mkldnn_lazy : mkldnn_eager);
  return true;
}

bool Twin::submit(Args a) {
  Stream *stream = pick(streams_, a[0]);
  if (stream == nullptr) return make_stream(a);
  std::vector<ObjectPtr> objects;
  for (size_t i = 0; i < 1 + a[1] % 8u; ++i) {
    const uint8_t from = static_cast<uint8_t>(a[2] + i * (a[3] % 5));
    objects.push_back(pick_object(a[4] % 16 == 0 ? memories_ : primitives_, from, true));
    if (objects.back() == nullptr) return false;
  }
  const mkldnn_status_t status = both("stream_submit", [&](const World &w, int i) {
    std::vector<mkldnn_primitive_t> handles;
    for (const ObjectPtr &object : objects) handles.push_back(object->at[i]);
    if (a[5] == 0) handles.back() = nullptr;
    return w.stream_submit(stream->at[i], handles.size(), handles.data(), nullptr);
  });
  if (status == mkldnn_success) {
    stream->submitted.insert(stream->submitted.end(), objects.begin(), objects.end());
  }
  return true;
}

bool Twin::wait(Args a) {
  PICKED(stream, pick(streams_, a[0]));
  // Eager, it has been executed: the primitives may be gone.
  if (stream->lazy && !stream->runnable()) return false;
  BOTH(stream_wait, stream->at[i], 1, nullptr);
  stream->stopped = true;
  return true;
}

bool Twin::rerun(Args a) {
  PICKED(stream, pick(streams_, a[0]));
  // Without a wait before it, it is an error and executes nothing: the primitives may be gone.
  if (stream->stopped && !stream->runnable()) return false;
  BOTH(stream_rerun, stream->at[i], nullptr);
  return true;
}

bool Twin::destroy_stream(Args a) {
  PICKED(stream, pick(streams_, a[0]));
  BOTH(stream_destroy, stream->at[i]);
  *stream = Stream();
  return true;
}

bool Twin::wrong_arguments(Args a) {
  const Descriptor *pd = pick(descriptors_, a[1]);
  const Engine *on = pick(engines_, a[2]);
  if (pd == nullptr || on == nullptr) return false;
  OpDesc op;
  fuzz::describe(a[3], kForward, {255, 0}, &op);
  const mkldnn_memory_desc_t md = fuzz::describe_memory({255, 0});
  both("a call with wrong arguments", [&](const World &w, int i) {
    WronglyMade made;
    const auto calls = wrong_calls(w, on->at[i], pd->at[i], op, md, made);
    return calls[a[0] % calls.size()].second();
  });
  return true;
}

}  // namespace fuzz
