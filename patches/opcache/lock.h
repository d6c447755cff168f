// A mutex held from here to the end of the block.
#ifndef OPCACHE_LOCK_H_
#define OPCACHE_LOCK_H_

#include <pthread.h>

namespace opcache {

class Lock {
 public:
  explicit Lock(pthread_mutex_t *mutex) : mutex_(mutex) { pthread_mutex_lock(mutex_); }
  ~Lock() { pthread_mutex_unlock(mutex_); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;

 private:
  pthread_mutex_t *const mutex_;
};

}  // namespace opcache

#endif  // OPCACHE_LOCK_H_
