"""More stations than chutes: large ones get a chute of their own, the others are grouped and sorted again.

First pass: a chute takes one station ("direct") or a group of them. Second pass: one group after
the other is put on the belt again, and each chute takes one station of the group. With K chutes,
d of them direct and g for groups, d + g <= K and no group holds more than K stations.
"""
