"""The screen: cards and lines that show a running job.

Everything here renders a frozen :class:`~xcompliance_pd.lifecycle.Snapshot`; nothing here can reach the network or
the disk, because it imports neither.
"""
