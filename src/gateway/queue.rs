//! A first-in first-out of fixed capacity, allocated once.

/// A ring of `T`s, its capacity rounded up to a power of two. The slots not in use hold what was there before, or the filler given at construction.
#[derive(Debug)]
pub(super) struct Queue<T> {
    slots: Box<[T]>,
    first: usize,
    len: usize,
}

impl<T: Copy> Queue<T> {
    pub(super) fn new(capacity: usize, filler: T) -> Self {
        Self { slots: vec![filler; capacity.next_power_of_two()].into_boxed_slice(), first: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn room(&self) -> usize {
        self.slots.len() - self.len
    }

    /// False when there is no room.
    #[inline]
    pub(super) fn push(&mut self, item: T) -> bool {
        let free = self.len < self.slots.len();
        if free {
            let slot = self.slot(self.len);
            self.slots[slot] = item;
            self.len += 1;
        }
        free
    }

    /// The one that was pushed `age` after the oldest.
    #[inline]
    pub(super) fn at(&mut self, age: usize) -> Option<&mut T> {
        let slot = self.slot(age);
        (age < self.len).then(|| &mut self.slots[slot])
    }

    #[inline]
    pub(super) fn oldest(&self) -> Option<&T> {
        (self.len > 0).then(|| &self.slots[self.first])
    }

    #[inline]
    pub(super) fn drop_oldest(&mut self) {
        if self.len > 0 {
            self.first = self.slot(1);
            self.len -= 1;
        }
    }

    pub(super) fn pop_newest(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        Some(self.slots[self.slot(self.len)])
    }

    pub(super) fn newest(&self) -> Option<&T> {
        Some(&self.slots[self.slot(self.len.checked_sub(1)?)])
    }

    /// Every item, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).map(|age| &self.slots[self.slot(age)])
    }

    fn slot(&self, age: usize) -> usize {
        (self.first + age) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn it_behaves_like_a_bounded_deque(steps in prop::collection::vec(0u8..5, 1..200)) {
            let (mut queue, mut model) = (Queue::new(4, 0), VecDeque::new());
            for (item, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let room = model.len() < 4;
                        prop_assert_eq!(queue.push(item), room);
                        if room {
                            model.push_back(item);
                        }
                    }
                    2 => {
                        queue.drop_oldest();
                        model.pop_front();
                    }
                    3 => prop_assert_eq!(queue.pop_newest(), model.pop_back()),
                    _ => prop_assert_eq!(queue.at(item % 5).copied(), model.get(item % 5).copied()),
                }
                prop_assert_eq!((queue.oldest(), queue.newest()), (model.front(), model.back()));
                prop_assert!(queue.iter().eq(&model));
                prop_assert_eq!((queue.len(), queue.room()), (model.len(), 4 - model.len()));
            }
        }
    }
}
