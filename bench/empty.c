/* bench_empty: the smallest dynamic program, for what starting a process costs. */
int main(void)
{
    return 0;
}
