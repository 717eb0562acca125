namespace MultiCluster.Kubernetes.Json;

// What is read of spec and status. A field that has another type than usual is stepped over: custom kinds use the same names
// for other things, and a mirror that refuses them would be worse than one that does not know their phase.
public sealed partial class ObjectScanner
{
    private void ScanSpec(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (cursor.Peek() != '{')
        {
            cursor.SkipValue();
            return;
        }

        switch (_profile)
        {
            case KindProfile.Pod:
                ScanPodSpec(ref cursor, json);
                break;
            case KindProfile.Deployment or KindProfile.ReplicaSet or KindProfile.StatefulSet or KindProfile.DaemonSet
                or KindProfile.Job or KindProfile.CronJob:
                ScanWorkloadSpec(ref cursor, json);
                break;
            case KindProfile.Node or KindProfile.Service:
                ScanSmallSpec(ref cursor, json);
                break;
            default:
                cursor.SkipValue();
                break;
        }
    }

    private void ScanSmallSpec(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!cursor.EnterObject())
        {
            return;
        }

        do
        {
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            if (_profile == KindProfile.Node && name.SequenceEqual("unschedulable"u8))
            {
                Facts.IsUnschedulable = cursor.ReadTrue();
            }
            else if (_profile == KindProfile.Service && name.SequenceEqual("type"u8))
            {
                Facts.IsLoadBalancer = TryReadText(ref cursor, json, out TextRange type) && Bytes(type, json).SequenceEqual("LoadBalancer"u8);
            }
            else
            {
                cursor.SkipValue();
            }
        }
        while (cursor.NextMember());
    }

    private void ScanWorkloadSpec(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!cursor.EnterObject())
        {
            return;
        }

        do
        {
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            if (name.SequenceEqual("replicas"u8))
            {
                Facts.DesiredReplicas = ReadInt(ref cursor, KindFacts.Absent);
            }
            else if (name.SequenceEqual("paused"u8))
            {
                Facts.IsPaused = cursor.ReadTrue();
            }
            else if (name.SequenceEqual("suspend"u8))
            {
                Facts.IsSuspended = cursor.ReadTrue();
            }
            else if (name.SequenceEqual("completions"u8))
            {
                Facts.Completions = ReadInt(ref cursor, KindFacts.Absent);
            }
            else if (name.SequenceEqual("updateStrategy"u8))
            {
                ScanUpdateStrategy(ref cursor, json);
            }
            else if (name.SequenceEqual("template"u8))
            {
                ScanTemplate(ref cursor, json, "spec"u8);
            }
            else if (name.SequenceEqual("jobTemplate"u8))
            {
                ScanTemplate(ref cursor, json, "spec"u8, "template"u8, "spec"u8);
            }
            else
            {
                cursor.SkipValue();
            }
        }
        while (cursor.NextMember());
    }

    private void ScanTemplate(
        ref JsonCursor cursor, ReadOnlySpan<byte> json, ReadOnlySpan<byte> step, ReadOnlySpan<byte> next = default, ReadOnlySpan<byte> last = default)
    {
        if (step.IsEmpty)
        {
            if (cursor.Peek() == '{')
            {
                ScanPodSpec(ref cursor, json);
            }
            else
            {
                cursor.SkipValue();
            }

            return;
        }

        if (!TryEnterObject(ref cursor))
        {
            return;
        }

        do
        {
            if (ReadName(ref cursor, json).SequenceEqual(step))
            {
                ScanTemplate(ref cursor, json, next, last);
            }
            else
            {
                cursor.SkipValue();
            }
        }
        while (cursor.NextMember());
    }

    private void ScanUpdateStrategy(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!TryEnterObject(ref cursor))
        {
            return;
        }

        do
        {
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            if (name.SequenceEqual("type"u8))
            {
                Facts.IsOnDelete = TryReadText(ref cursor, json, out TextRange type) && Bytes(type, json).SequenceEqual("OnDelete"u8);
            }
            else if (!name.SequenceEqual("rollingUpdate"u8))
            {
                cursor.SkipValue();
            }
            else if (TryEnterObject(ref cursor))
            {
                do
                {
                    if (ReadName(ref cursor, json).SequenceEqual("partition"u8))
                    {
                        Facts.Partition = ReadInt(ref cursor, 0);
                    }
                    else
                    {
                        cursor.SkipValue();
                    }
                }
                while (cursor.NextMember());
            }
        }
        while (cursor.NextMember());
    }

    private void ScanStatus(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!TryEnterObject(ref cursor))
        {
            return;
        }

        do
        {
            ReadOnlySpan<byte> name = ReadName(ref cursor, json);
            if (name.SequenceEqual("phase"u8))
            {
                TryReadText(ref cursor, json, out Texts.Phase);
            }
            else if (name.SequenceEqual("conditions"u8))
            {
                ScanConditions(ref cursor, json);
            }
            else if (name.SequenceEqual("observedGeneration"u8))
            {
                Facts.ObservedGeneration = cursor.TryReadInteger(out long observed) ? observed : KindFacts.Absent;
            }
            else if (_profile == KindProfile.Other || !TryScanKindStatus(ref cursor, json, name))
            {
                cursor.SkipValue();
            }
        }
        while (cursor.NextMember());
    }

    private bool TryScanKindStatus(ref JsonCursor cursor, ReadOnlySpan<byte> json, scoped ReadOnlySpan<byte> name)
    {
        switch (_profile)
        {
            case KindProfile.Pod when name.SequenceEqual("containerStatuses"u8) || name.SequenceEqual("initContainerStatuses"u8):
                ScanContainerStatuses(ref cursor, json);
                return true;
            case KindProfile.Pod when name.SequenceEqual("reason"u8):
                TryReadText(ref cursor, json, out Texts.StatusReason);
                return true;
            case KindProfile.Node when name.SequenceEqual("allocatable"u8):
                _allocatable = ReadAmounts(ref cursor, json);
                return true;
            case KindProfile.Service when name.SequenceEqual("loadBalancer"u8):
                ScanLoadBalancer(ref cursor, json);
                return true;
            case KindProfile.Job when name.SequenceEqual("active"u8):
                Facts.Active = ReadInt(ref cursor, 0);
                return true;
            case KindProfile.Job when name.SequenceEqual("succeeded"u8):
                Facts.Succeeded = ReadInt(ref cursor, 0);
                return true;
            case KindProfile.Job when name.SequenceEqual("failed"u8):
                Facts.Failed = ReadInt(ref cursor, 0);
                return true;
            case KindProfile.Deployment or KindProfile.ReplicaSet or KindProfile.StatefulSet or KindProfile.DaemonSet:
                return TryScanWorkloadStatus(ref cursor, json, name);
            default:
                return false;
        }
    }

    private bool TryScanWorkloadStatus(ref JsonCursor cursor, ReadOnlySpan<byte> json, scoped ReadOnlySpan<byte> name)
    {
        if (name.SequenceEqual("replicas"u8) || name.SequenceEqual("currentNumberScheduled"u8))
        {
            Facts.Replicas = ReadInt(ref cursor, 0);
        }
        else if (name.SequenceEqual("readyReplicas"u8) || name.SequenceEqual("numberReady"u8))
        {
            Facts.ReadyReplicas = ReadInt(ref cursor, 0);
        }
        else if (name.SequenceEqual("updatedReplicas"u8) || name.SequenceEqual("updatedNumberScheduled"u8))
        {
            Facts.UpdatedReplicas = ReadInt(ref cursor, 0);
        }
        else if (name.SequenceEqual("availableReplicas"u8) || name.SequenceEqual("numberAvailable"u8))
        {
            Facts.AvailableReplicas = ReadInt(ref cursor, 0);
        }
        else if (name.SequenceEqual("desiredNumberScheduled"u8))
        {
            Facts.DesiredReplicas = ReadInt(ref cursor, 0);
        }
        else if (name.SequenceEqual("currentRevision"u8))
        {
            TryReadText(ref cursor, json, out Texts.CurrentRevision);
        }
        else if (name.SequenceEqual("updateRevision"u8))
        {
            TryReadText(ref cursor, json, out Texts.UpdateRevision);
        }
        else
        {
            return false;
        }

        return true;
    }

    private void ScanConditions(ref JsonCursor cursor, ReadOnlySpan<byte> json)
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

            TextRange type = default, status = default, reason = default;
            do
            {
                ReadOnlySpan<byte> name = ReadName(ref cursor, json);
                if (name.SequenceEqual("type"u8))
                {
                    TryReadText(ref cursor, json, out type);
                }
                else if (name.SequenceEqual("status"u8))
                {
                    TryReadText(ref cursor, json, out status);
                }
                else if (name.SequenceEqual("reason"u8))
                {
                    TryReadText(ref cursor, json, out reason);
                }
                else
                {
                    cursor.SkipValue();
                }
            }
            while (cursor.NextMember());
            Conditions.Add(new ConditionTexts(type, status, reason));
        }
        while (cursor.NextElement() && NotTooMany(Conditions.Count, in cursor));
    }

    private void ScanLoadBalancer(ref JsonCursor cursor, ReadOnlySpan<byte> json)
    {
        if (!TryEnterObject(ref cursor))
        {
            return;
        }

        do
        {
            if (!ReadName(ref cursor, json).SequenceEqual("ingress"u8))
            {
                cursor.SkipValue();
            }
            else if (TryEnterArray(ref cursor))
            {
                Facts.HasIngress = true;
                do
                {
                    cursor.SkipValue();
                }
                while (cursor.NextElement());
            }
        }
        while (cursor.NextMember());
    }

    private static int ReadInt(ref JsonCursor cursor, int otherwise) =>
        cursor.TryReadInteger(out long value) ? (int)Math.Clamp(value, int.MinValue, int.MaxValue) : otherwise;

    /// <summary>Enters an object that has members; anything else is stepped over.</summary>
    private static bool TryEnterObject(ref JsonCursor cursor)
    {
        if (cursor.Peek() == '{')
        {
            return cursor.EnterObject();
        }

        cursor.SkipValue();
        return false;
    }

    /// <summary>Enters an array that has elements; anything else is stepped over.</summary>
    private static bool TryEnterArray(ref JsonCursor cursor)
    {
        if (cursor.Peek() == '[')
        {
            return cursor.EnterArray();
        }

        cursor.SkipValue();
        return false;
    }
}
