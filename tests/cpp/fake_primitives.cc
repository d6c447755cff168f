// The exported functions of the fake MKL-DNN around primitives and streams. Argument checks and the
// order of a stream's states are the real library's.
#include "fake_call.h"

using namespace fake;

namespace {

void *data_behind(const_mkldnn_primitive_t handle, size_t output) {
  State &s = State::get();
  const Primitive *p = s.check<Primitive>("execution", handle, kFakePrimitive, kFakeMemory);
  if (p == nullptr) return nullptr;
  if (s.type_of(p) == kFakeMemory) {
    // A view points into its parent.
    return p->inputs.empty() ? p->handle : data_behind(p->inputs[0].primitive, 0);
  }
  return output < p->outputs.size() ? data_behind(p->outputs[output], 0) : nullptr;
}

// Reads the data pointers now.
void execute(const Primitive &p) {
  need_scratchpad(p);
  FakeExecution e = execution_of(*p.descriptor);
  size_t n = 0;
  for (const mkldnn_primitive_at_t &input : p.inputs) {
    if (n < kFakeData) e.data[n++] = data_behind(input.primitive, input.output_index);
  }
  for (const_mkldnn_primitive_t output : p.outputs) {
    if (n < kFakeData) e.data[n++] = data_behind(output, 0);
  }
  log_execution(e);
}

}  // namespace

extern "C" {

// Primitives

Status mkldnn_primitive_create(mkldnn_primitive_t *result, ConstPd descriptor,
                               const mkldnn_primitive_at_t *inputs,
                               const_mkldnn_primitive_t *outputs) {
  void (*const hook)() = State::get().on_primitive_create;
  if (hook != nullptr) hook();
  FAKE_ENTER(primitive_create, injected);
  if (result == nullptr || descriptor == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(d, FAKE_DESCRIPTOR(descriptor));
  for (int i = 0; i < d->inputs; ++i) {
    if (inputs[i].primitive == nullptr) return mkldnn_invalid_arguments;
    const Primitive *input = FAKE_PRIMITIVE(inputs[i].primitive);
    if (input == nullptr) return mkldnn_invalid_arguments;
    const size_t available = s.type_of(input) == kFakeMemory ? 1 : input->outputs.size();
    if (inputs[i].output_index >= available) return mkldnn_invalid_arguments;
  }
  for (int i = 0; i < d->outputs; ++i) {
    if (outputs[i] == nullptr) return mkldnn_invalid_arguments;
    FAKE_PRIMITIVE(outputs[i]);
  }
  const bool memory = is_memory(*d);
  Primitive *p = s.make<Primitive>(memory ? kFakeMemory : kFakePrimitive);
  p->descriptor = copy(*d, kFakeTypes);
  count_scratchpad(p);
  if (d->inputs > 0) p->inputs.assign(inputs, inputs + d->inputs);
  if (d->outputs > 0) p->outputs.assign(outputs, outputs + d->outputs);
  return give(result, p);
}

FAKE_DESTROY(primitive_destroy, mkldnn_primitive_t, FAKE_PRIMITIVE, true)

Status mkldnn_primitive_get_primitive_desc(const_mkldnn_primitive_t handle, ConstPd *result) {
  FAKE_ENTER(primitive_get_primitive_desc, injected);
  if (handle == nullptr || result == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(p, FAKE_PRIMITIVE(handle));
  return give(result, p->descriptor);
}

Status mkldnn_primitive_get_input_at(const_mkldnn_primitive_t handle, size_t index,
                                     mkldnn_primitive_at_t *input) {
  FAKE_ENTER(primitive_get_input_at, injected);
  if (handle == nullptr || input == nullptr) return mkldnn_invalid_arguments;
  const Primitive *p = FAKE_PRIMITIVE(handle);
  if (p == nullptr || index >= p->inputs.size()) return mkldnn_invalid_arguments;
  *input = p->inputs[index];
  return mkldnn_success;
}

Status mkldnn_primitive_get_output(const_mkldnn_primitive_t handle, size_t index,
                                   const_mkldnn_primitive_t *output) {
  FAKE_ENTER(primitive_get_output, injected);
  if (handle == nullptr || output == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(p, FAKE_PRIMITIVE(handle));
  // A memory object is its own output.
  const bool memory = s.type_of(p) == kFakeMemory;
  if (index >= (memory ? 1 : p->outputs.size())) return mkldnn_invalid_arguments;
  *output = memory ? handle : p->outputs[index];
  return mkldnn_success;
}

mkldnn_primitive_at_t mkldnn_primitive_at(const_mkldnn_primitive_t primitive, size_t index) {
  return {primitive, index};
}

// Streams: eager ones execute in submit, lazy ones in every wait; after wait nothing can be
// submitted, and only after wait can all of it be run again, once. (The real library's lazy streams
// refuse to.)

static Status execute_all(State &s, Stream *stream, size_t first) {
  for (size_t i = first; i < stream->submitted.size(); ++i) {
    const Primitive *p =
        s.check<Primitive>("execution", stream->submitted[i], kFakePrimitive, kFakeMemory);
    if (p == nullptr) return mkldnn_runtime_error;
    execute(*p);
  }
  return mkldnn_success;
}

Status mkldnn_stream_create(mkldnn_stream_t *result, mkldnn_stream_kind_t kind) {
  FAKE_ENTER(stream_create, injected);
  if (result == nullptr || (kind != mkldnn_eager && kind != mkldnn_lazy)) {
    return mkldnn_invalid_arguments;
  }
  Stream *stream = s.make<Stream>(kFakeStream);
  stream->lazy = kind == mkldnn_lazy;
  return give(result, stream);
}

Status mkldnn_stream_submit(mkldnn_stream_t handle, size_t n, mkldnn_primitive_t primitives[],
                            mkldnn_primitive_t *) {
  FAKE_ENTER(stream_submit, injected);
  if (handle == nullptr || primitives == nullptr) return mkldnn_invalid_arguments;
  Stream *stream = FAKE_STREAM(handle);
  if (stream == nullptr || !stream->open) return mkldnn_invalid_arguments;
  for (size_t i = 0; i < n; ++i) {
    if (primitives[i] == nullptr) return mkldnn_invalid_arguments;
  }
  const size_t first = stream->submitted.size();
  for (size_t i = 0; i < n; ++i) {
    stream->submitted.push_back(FAKE_PRIMITIVE(primitives[i]));
  }
  return stream->lazy ? mkldnn_success : execute_all(s, stream, first);
}

Status mkldnn_stream_wait(mkldnn_stream_t handle, int, mkldnn_primitive_t *) {
  FAKE_ENTER(stream_wait, injected);
  FAKE_NEED(stream, FAKE_GIVEN(FAKE_STREAM, handle));
  stream->open = false;
  stream->stopped = true;
  return stream->lazy ? execute_all(s, stream, 0) : mkldnn_success;
}

Status mkldnn_stream_rerun(mkldnn_stream_t handle, mkldnn_primitive_t *) {
  FAKE_ENTER(stream_rerun, injected);
  FAKE_NEED(stream, FAKE_GIVEN(FAKE_STREAM, handle));
  if (!stream->stopped) return mkldnn_invalid_arguments;
  stream->stopped = false;
  return execute_all(s, stream, 0);
}

FAKE_DESTROY(stream_destroy, mkldnn_stream_t, FAKE_STREAM, true)

}  // extern "C"
