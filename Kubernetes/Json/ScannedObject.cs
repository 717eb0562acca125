namespace MultiCluster.Kubernetes.Json;

/// <summary>What one pass over an object found; its spans die with the JSON it was read from and with the next scan.</summary>
/// <remarks>Texts are unescaped. Texts and lists that the object does not have are empty.</remarks>
public readonly ref struct ScannedObject
{
    private readonly ReadOnlySpan<byte> _json;
    private readonly ObjectScanner _found;

    internal ScannedObject(ReadOnlySpan<byte> json, ObjectScanner found)
    {
        _json = json;
        _found = found;
    }

    /// <summary>Empty for cluster-scoped objects.</summary>
    public ReadOnlySpan<byte> Namespace => Text(_found.Texts.Namespace);

    public ReadOnlySpan<byte> Name => Text(_found.Texts.Name);

    public ReadOnlySpan<byte> Uid => Text(_found.Texts.Uid);

    public ReadOnlySpan<byte> ResourceVersion => Text(_found.Texts.ResourceVersion);

    /// <summary><c>status.phase</c>.</summary>
    public ReadOnlySpan<byte> Phase => Text(_found.Texts.Phase);

    /// <summary><c>status.reason</c>.</summary>
    public ReadOnlySpan<byte> StatusReason => Text(_found.Texts.StatusReason);

    /// <summary><c>spec.nodeName</c> of a pod.</summary>
    public ReadOnlySpan<byte> NodeName => Text(_found.Texts.NodeName);

    /// <summary>Reason of the first container of a pod that waits.</summary>
    public ReadOnlySpan<byte> WaitingReason => Text(_found.Texts.WaitingReason);

    /// <summary>Reason of the first container of a pod that has ended with a failure.</summary>
    public ReadOnlySpan<byte> TerminatedReason => Text(_found.Texts.TerminatedReason);

    /// <summary><c>status.currentRevision</c> of a StatefulSet.</summary>
    public ReadOnlySpan<byte> CurrentRevision => Text(_found.Texts.CurrentRevision);

    /// <summary><c>status.updateRevision</c> of a StatefulSet.</summary>
    public ReadOnlySpan<byte> UpdateRevision => Text(_found.Texts.UpdateRevision);

    /// <summary>Seconds since 1970; 0 when the object does not say.</summary>
    public long CreatedUnixSeconds => _found.CreatedUnixSeconds;

    /// <summary>Whether <c>metadata.deletionTimestamp</c> is set.</summary>
    public bool IsTerminating => _found.IsTerminating;

    public int LabelCount => _found.Labels.Count;

    public int OwnerCount => _found.Owners.Count;

    public int ImageCount => _found.Images.Count;

    public int ConditionCount => _found.Conditions.Count;

    /// <summary>What a pod requests, or what a node can allocate.</summary>
    public ResourceAmounts Resources => _found.Resources;

    /// <summary>Numbers and switches of the spec and status.</summary>
    public ref readonly KindFacts Facts => ref _found.Facts;

    /// <summary>Length of what <see cref="CopyJson"/> writes.</summary>
    public int JsonLength => _found.JsonLength;

    public ReadOnlySpan<byte> LabelKey(int index) => Text(_found.Labels[index].Key);

    public ReadOnlySpan<byte> LabelValue(int index) => Text(_found.Labels[index].Value);

    /// <summary>Image of a container of the pod or of the pod template, init containers included, in order of appearance.</summary>
    public ReadOnlySpan<byte> Image(int index) => Text(_found.Images[index]);

    public ScannedOwner Owner(int index)
    {
        ObjectScanner.OwnerTexts owner = _found.Owners[index];
        return new ScannedOwner(Text(owner.Uid), Text(owner.ApiVersion), Text(owner.Kind), Text(owner.Name), owner.IsController);
    }

    public ScannedCondition Condition(int index)
    {
        ObjectScanner.ConditionTexts condition = _found.Conditions[index];
        return new ScannedCondition(Text(condition.Type), Text(condition.Status), Text(condition.Reason));
    }

    /// <summary>Finds a condition by type.</summary>
    public bool TryGetCondition(ReadOnlySpan<byte> type, out ScannedCondition condition)
    {
        for (int i = 0; i < ConditionCount; i++)
        {
            condition = Condition(i);
            if (condition.Type.SequenceEqual(type))
            {
                return true;
            }
        }

        condition = default;
        return false;
    }

    /// <summary>Writes the object as a GET would answer it, except <c>metadata.managedFields</c>; exactly <see cref="JsonLength"/> bytes.</summary>
    public void CopyJson(Span<byte> destination) => _found.CopyJson(_json, destination);

    private ReadOnlySpan<byte> Text(TextRange range) => range.IsUnescaped
        ? _found.Unescaped(range)
        : _json.Slice(range.Start, range.Length);
}

/// <summary>One entry of <c>metadata.ownerReferences</c>.</summary>
public readonly ref struct ScannedOwner(
    ReadOnlySpan<byte> uid, ReadOnlySpan<byte> apiVersion, ReadOnlySpan<byte> kind, ReadOnlySpan<byte> name, bool isController)
{
    public ReadOnlySpan<byte> Uid { get; } = uid;

    public ReadOnlySpan<byte> ApiVersion { get; } = apiVersion;

    public ReadOnlySpan<byte> Kind { get; } = kind;

    public ReadOnlySpan<byte> Name { get; } = name;

    public bool IsController { get; } = isController;
}

/// <summary>One entry of <c>status.conditions</c>.</summary>
public readonly ref struct ScannedCondition(ReadOnlySpan<byte> type, ReadOnlySpan<byte> status, ReadOnlySpan<byte> reason)
{
    public ReadOnlySpan<byte> Type { get; } = type;

    public ReadOnlySpan<byte> Status { get; } = status;

    public ReadOnlySpan<byte> Reason { get; } = reason;

    public bool IsTrue => Status.SequenceEqual("True"u8);

    public bool IsFalse => Status.SequenceEqual("False"u8);
}

/// <summary>Numbers and switches of an object's spec and status; which of them a kind has is its own affair.</summary>
/// <remarks>Numbers that the object leaves out are 0 where Kubernetes omits zeros, and <see cref="Absent"/> where leaving out means something else.</remarks>
public struct KindFacts
{
    /// <summary>Stands for a number that is not there and is not zero.</summary>
    public const int Absent = -1;

    /// <summary>Facts of an object that says nothing.</summary>
    public static KindFacts Empty => new() { ObservedGeneration = Absent, DesiredReplicas = Absent, Completions = Absent };

    /// <summary><c>metadata.generation</c>.</summary>
    public long Generation { get; internal set; }

    /// <summary><c>status.observedGeneration</c> or <see cref="Absent"/>.</summary>
    public long ObservedGeneration { get; internal set; }

    /// <summary><c>spec.replicas</c> (absent means 1), or <c>status.desiredNumberScheduled</c> of a DaemonSet.</summary>
    public int DesiredReplicas { get; internal set; }

    /// <summary><c>status.replicas</c>, or <c>currentNumberScheduled</c>.</summary>
    public int Replicas { get; internal set; }

    /// <summary><c>status.readyReplicas</c>, or <c>numberReady</c>.</summary>
    public int ReadyReplicas { get; internal set; }

    /// <summary><c>status.updatedReplicas</c>, or <c>updatedNumberScheduled</c>.</summary>
    public int UpdatedReplicas { get; internal set; }

    /// <summary><c>status.availableReplicas</c>, or <c>numberAvailable</c>.</summary>
    public int AvailableReplicas { get; internal set; }

    /// <summary><c>spec.updateStrategy.rollingUpdate.partition</c> of a StatefulSet.</summary>
    public int Partition { get; internal set; }

    /// <summary>Whether <c>spec.updateStrategy.type</c> is OnDelete.</summary>
    public bool IsOnDelete { get; internal set; }

    /// <summary><c>spec.paused</c>.</summary>
    public bool IsPaused { get; internal set; }

    /// <summary><c>spec.suspend</c>.</summary>
    public bool IsSuspended { get; internal set; }

    /// <summary><c>spec.completions</c> of a Job or <see cref="Absent"/>.</summary>
    public int Completions { get; internal set; }

    /// <summary>Pods of a Job that run.</summary>
    public int Active { get; internal set; }

    /// <summary>Pods of a Job that succeeded.</summary>
    public int Succeeded { get; internal set; }

    /// <summary>Pods of a Job that failed.</summary>
    public int Failed { get; internal set; }

    /// <summary>Restarts of all containers of a pod together.</summary>
    public int Restarts { get; internal set; }

    /// <summary><c>spec.unschedulable</c> of a node.</summary>
    public bool IsUnschedulable { get; internal set; }

    /// <summary>Whether a Service is of type LoadBalancer.</summary>
    public bool IsLoadBalancer { get; internal set; }

    /// <summary>Whether <c>status.loadBalancer.ingress</c> has an entry.</summary>
    public bool HasIngress { get; internal set; }
}

/// <summary>Where a text is: in the JSON itself, or, once it had escapes, in the scanner's own buffer.</summary>
internal readonly record struct TextRange(int Start, int Length, bool IsUnescaped = false);
