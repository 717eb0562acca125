namespace MultiCluster.Kubernetes.Json;

// What is read of pods and pod templates: containers, what they request, and how they are.
public sealed partial class ObjectScanner
{
    private ResourceAmounts _containers;
    private ResourceAmounts _sidecars;
    private ResourceAmounts _initPeak;
    private ResourceAmounts _overhead;
    private ResourceAmounts _allocatable;

    // A sidecar counts for the init containers behind it, and restartPolicy comes behind resources, so one container is read whole first.
    private void ForgetPod() => _containers = _sidecars = _initPeak = _overhead = _allocatable = default;

    private void FinishPod() => Resources = _profile == KindProfile.Node
        ? _allocatable
        : ResourceAmounts.Max(_containers + _sidecars, _initPeak) + _overhead;

    private void ScanPodSpec(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!cursor.EnterObject())
        {
            return;
        }

        do
        {
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            if (name.SequenceEqual("containers"u8))
            {
                ScanContainers(ref cursor, json, init: false);
            }
            else if (name.SequenceEqual("initContainers"u8))
            {
                ScanContainers(ref cursor, json, init: true);
            }
            else if (name.SequenceEqual("nodeName"u8))
            {
                TryReadText(ref cursor, json, out Texts.NodeName);
            }
            else if (name.SequenceEqual("overhead"u8))
            {
                _overhead = ReadAmounts(ref cursor, json);
            }
            else
            {
                cursor.SkipValue();
            }
        }
        while (cursor.NextMember());
    }

    private void ScanContainers(ref JsonCursor cursor, ReadOnlySpan<byte> json, bool init)
    {
        if (!TryEnterArray(ref cursor))
        {
            return;
        }

        do
        {
            if (!TryEnterObject(ref cursor))
            {
                continue;
            }

            ResourceAmounts requests = default;
            bool restarts = false;
            do
            {
                ReadOnlySpan<byte> name = ReadName(ref cursor, json);
                if (name.SequenceEqual("image"u8))
                {
                    if (TryReadText(ref cursor, json, out TextRange image) && image.Length > 0)
                    {
                        Images.Add(image);
                        NotTooMany(Images.Count, in cursor);
                    }
                }
                else if (name.SequenceEqual("resources"u8))
                {
                    requests = ReadRequests(ref cursor, json);
                }
                else if (init && name.SequenceEqual("restartPolicy"u8))
                {
                    restarts = TryReadText(ref cursor, json, out TextRange policy) && Bytes(policy, json).SequenceEqual("Always"u8);
                }
                else
                {
                    cursor.SkipValue();
                }
            }
            while (cursor.NextMember());

            // The scheduler's rule: init containers run one after the other, each beside the sidecars started before it.
            if (!init)
            {
                _containers += requests;
            }
            else if (restarts)
            {
                _sidecars += requests;
                _initPeak = ResourceAmounts.Max(_initPeak, _sidecars);
            }
            else
            {
                _initPeak = ResourceAmounts.Max(_initPeak, _sidecars + requests);
            }
        }
        while (cursor.NextElement());
    }

    private ResourceAmounts ReadRequests(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        ResourceAmounts requests = default;
        if (!TryEnterObject(ref cursor))
        {
            return requests;
        }

        do
        {
            if (ReadName(ref cursor, json).SequenceEqual("requests"u8))
            {
                requests = ReadAmounts(ref cursor, json);
            }
            else
            {
                cursor.SkipValue();
            }
        }
        while (cursor.NextMember());
        return requests;
    }

    private ResourceAmounts ReadAmounts(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        long cpu = 0, memory = 0, gpus = 0, pods = 0;
        if (!TryEnterObject(ref cursor))
        {
            return default;
        }

        do
        {
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            if (name.SequenceEqual("cpu"u8))
            {
                cpu = ReadQuantity(ref cursor, json, 1000);
            }
            else if (name.SequenceEqual("memory"u8))
            {
                memory = ReadQuantity(ref cursor, json, 1);
            }
            else if (name.SequenceEqual("pods"u8))
            {
                pods = ReadQuantity(ref cursor, json, 1);
            }
            else if (name.EndsWith("/gpu"u8))
            {
                gpus += ReadQuantity(ref cursor, json, 1);
            }
            else
            {
                cursor.SkipValue();
            }
        }
        while (cursor.NextMember());
        return new ResourceAmounts(cpu, memory, gpus, pods);
    }

    // Custom resources may write quantities as numbers.
    private long ReadQuantity(ref JsonCursor cursor, ReadOnlySpan<byte> json, int unitsPerOne)
    {
        if (cursor.Peek() == '"')
        {
            return Quantity.TryParse(Bytes(ReadRequiredText(ref cursor, json), json), unitsPerOne, out long amount) ? amount : 0;
        }

        int start = cursor.Position;
        cursor.SkipValue();
        return Quantity.TryParse(json[start..cursor.Position], unitsPerOne, out long number) ? number : 0;
    }

    private void ScanContainerStatuses(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!TryEnterArray(ref cursor))
        {
            return;
        }

        do
        {
            if (!TryEnterObject(ref cursor))
            {
                continue;
            }

            do
            {
                ReadOnlySpan<byte> name = ReadName(ref cursor, json);
                if (name.SequenceEqual("restartCount"u8))
                {
                    Facts.Restarts = (int)Math.Min((long)Facts.Restarts + Math.Max(ReadInt(ref cursor, 0), 0), int.MaxValue);
                }
                else if (name.SequenceEqual("state"u8))
                {
                    ScanContainerState(ref cursor, json);
                }
                else
                {
                    cursor.SkipValue();
                }
            }
            while (cursor.NextMember());
        }
        while (cursor.NextElement());
    }

    private void ScanContainerState(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!TryEnterObject(ref cursor))
        {
            return;
        }

        do
        {
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            bool waiting = name.SequenceEqual("waiting"u8);
            if (!waiting && !name.SequenceEqual("terminated"u8))
            {
                cursor.SkipValue();
                continue;
            }

            if (!TryEnterObject(ref cursor))
            {
                continue;
            }

            TextRange reason = default;
            long exitCode = 0;
            do
            {
                name = ReadName(ref cursor, json);
                if (name.SequenceEqual("reason"u8))
                {
                    TryReadText(ref cursor, json, out reason);
                }
                else if (name.SequenceEqual("exitCode"u8))
                {
                    cursor.TryReadInteger(out exitCode);
                }
                else
                {
                    cursor.SkipValue();
                }
            }
            while (cursor.NextMember());
            if (waiting && Texts.WaitingReason.Length == 0)
            {
                Texts.WaitingReason = reason;
            }
            else if (!waiting && exitCode != 0 && Texts.TerminatedReason.Length == 0)
            {
                Texts.TerminatedReason = reason;
            }
        }
        while (cursor.NextMember());
    }
}
