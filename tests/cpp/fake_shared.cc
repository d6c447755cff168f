// The exported functions that the fake MKL-DNN has in both interfaces: around engines, primitive
// descriptors and iterators. Argument checks are the real library's.
#include "fake_call.h"

using namespace fake;

#ifdef API1
#define FAKE_V2(name) name
#define mkldnn_FAKE_V2(name) mkldnn_##name
#define NO_ATTRIBUTES nullptr,
#else
#define FAKE_V2(name) name##_v2
#define mkldnn_FAKE_V2(name) mkldnn_##name##_v2
#define NO_ATTRIBUTES
#endif

extern "C" {

int omp_get_max_threads() {
  if (t_asking) return State::get().max_threads;
  FAKE_ENTER(omp_get_max_threads, 1);
  return s.max_threads;
}
int omp_in_parallel() { return State::get().in_parallel; }

// Engines

Status mkldnn_engine_create(mkldnn_engine_t *engine, mkldnn_engine_kind_t, size_t) {
  FAKE_ENTER(engine_create, injected);
  Engine *made = s.make<Engine>(kFakeEngine);
  made->number = s.created[kFakeEngine];
  return give(engine, made);
}

FAKE_DESTROY(engine_destroy, mkldnn_engine_t, FAKE_ENGINE, false)

// Primitive descriptors

// A deconvolution may look for a convolution through the exported functions first, as a library
// that is made of itself could: what stands in between must not take that for the user's.
static void consult_convolution(const void *op_desc, mkldnn_engine_t engine) {
  mkldnn_convolution_desc_t inner = *static_cast<const mkldnn_convolution_desc_t *>(op_desc);
  inner.primitive_kind = mkldnn_convolution;
  mkldnn_primitive_desc_iterator_t iterator = nullptr;
  if (mkldnn_primitive_desc_iterator_create(&iterator, &inner, NO_ATTRIBUTES engine, nullptr) !=
      mkldnn_success) {
    return;
  }
  mkldnn_primitive_desc_iterator_next(iterator);
  Pd first = nullptr;
  Pd second = mkldnn_primitive_desc_iterator_fetch(iterator);
  mkldnn_primitive_desc_iterator_destroy(iterator);
  if (mkldnn_primitive_desc_create(&first, &inner, NO_ATTRIBUTES engine, nullptr) ==
      mkldnn_success) {
    mkldnn_primitive_desc_destroy(first);
  }
  if (second != nullptr) mkldnn_primitive_desc_destroy(second);
}

Status mkldnn_FAKE_V2(primitive_desc_create)(Pd *result, const_mkldnn_op_desc_t op_desc,
                                             ConstAttr attr_handle, mkldnn_engine_t engine_handle,
                                             ConstPd hint_handle) {
  const bool arguments_ok = result != nullptr && op_desc != nullptr && engine_handle != nullptr;
  if (arguments_ok && State::get().calls_back &&
      *static_cast<const int *>(op_desc) == mkldnn_deconvolution) {
    consult_convolution(op_desc, engine_handle);
  }
  FAKE_ENTER(FAKE_V2(primitive_desc_create), injected);
  if (!arguments_ok) return mkldnn_invalid_arguments;
  Engine *engine = FAKE_ENGINE(engine_handle);
  const Attr *attr = FAKE_GIVEN(FAKE_ATTR, attr_handle);
  const Descriptor *hint = FAKE_GIVEN(FAKE_OPERATION, hint_handle);
  Descriptor *d = describe(op_desc, attr, engine, hint, 0);
  if (d == nullptr) return mkldnn_unimplemented;
  return give(result, d);
}

Status mkldnn_primitive_desc_clone(Pd *result, ConstPd handle) {
  FAKE_ENTER(primitive_desc_clone, injected);
  if (result == nullptr || handle == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(d, FAKE_DESCRIPTOR(handle));
  return give(result, copy(*d, s.type_of(d)));
}

FAKE_DESTROY(primitive_desc_destroy, Pd, FAKE_DESCRIPTOR, true)

Status mkldnn_primitive_desc_get_attr(ConstPd handle, ConstAttr *attr) {
  FAKE_ENTER(primitive_desc_get_attr, injected);
  FAKE_NEED(d, FAKE_DESCRIPTOR(handle));
  return give(attr, &d->attr);
}

int mkldnn_primitive_desc_query_s32(ConstPd handle, mkldnn_query_t what, int) {
  FAKE_ENTER(primitive_desc_query_s32, 0);
  const Descriptor *d = FAKE_GIVEN(FAKE_DESCRIPTOR, handle);
  if (d == nullptr) return 0;
  return what == mkldnn_query_num_of_inputs_s32    ? d->inputs
         : what == mkldnn_query_num_of_outputs_s32 ? d->outputs
                                                   : 0;
}

// Iterators

Status mkldnn_FAKE_V2(primitive_desc_iterator_create)(mkldnn_primitive_desc_iterator_t *result,
                                                      const_mkldnn_op_desc_t op_desc,
                                                      ConstAttr attr_handle, mkldnn_engine_t engine,
                                                      ConstPd hint) {
  FAKE_ENTER(FAKE_V2(primitive_desc_iterator_create), injected);
  if (result == nullptr || op_desc == nullptr || engine == nullptr) return mkldnn_invalid_arguments;
  if (s.implementations == 0) return mkldnn_unimplemented;
#ifdef API1
  if (!is_described(op_desc)) return mkldnn_unimplemented;
#endif
  Iterator *it = s.make<Iterator>(kFakeIterator);
  it->op_desc = op_desc;
  it->engine = FAKE_ENGINE(engine);
  const Attr *attr = FAKE_GIVEN(FAKE_ATTR, attr_handle);
  if (attr != nullptr) it->attr = *attr;
  it->hint = FAKE_GIVEN(FAKE_OPERATION, hint);
  return give(result, it);
}

Status mkldnn_primitive_desc_iterator_next(mkldnn_primitive_desc_iterator_t handle) {
  FAKE_ENTER(primitive_desc_iterator_next, injected);
  FAKE_NEED(it, FAKE_GIVEN(FAKE_ITERATOR, handle));
  if (it->position < s.implementations) ++it->position;
  return it->position < s.implementations ? mkldnn_success : mkldnn_iterator_ends;
}

Pd mkldnn_primitive_desc_iterator_fetch(const_mkldnn_primitive_desc_iterator_t handle) {
  FAKE_ENTER(primitive_desc_iterator_fetch, nullptr);
  const Iterator *it = FAKE_GIVEN(FAKE_ITERATOR, handle);
  if (it == nullptr || it->position >= s.implementations) return nullptr;
  return reinterpret_cast<Pd>(describe(it->op_desc, &it->attr, it->engine, it->hint, it->position));
}

FAKE_DESTROY(primitive_desc_iterator_destroy, mkldnn_primitive_desc_iterator_t, FAKE_ITERATOR, true)

}  // extern "C"
