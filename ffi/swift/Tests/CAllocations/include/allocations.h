/* Calls of malloc and its like in this process since it began. */
unsigned long num_allocations(void);
