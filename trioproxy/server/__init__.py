"""The processes: main, the zygote that workers are forked from, workers."""
