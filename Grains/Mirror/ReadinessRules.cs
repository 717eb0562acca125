using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Grains.Mirror;

/// <summary>What <see cref="ReadinessRules"/> say of an object; the reason dies with the scan.</summary>
internal readonly ref struct ReadinessVerdict
{
    private ReadinessVerdict(ReadinessState state, ReadOnlySpan<byte> reason)
    {
        State = state;
        Reason = reason;
    }

    public ReadinessState State { get; }

    /// <summary>One word in the style of condition reasons; empty when there is nothing to say.</summary>
    public ReadOnlySpan<byte> Reason { get; }

    public static ReadinessVerdict Ready => new(ReadinessState.Ready, default);

    public static ReadinessVerdict NotApplicable => new(ReadinessState.NotApplicable, default);

    public static ReadinessVerdict Progressing(ReadOnlySpan<byte> reason) => new(ReadinessState.Progressing, reason);

    public static ReadinessVerdict NotReady(ReadOnlySpan<byte> reason) => new(ReadinessState.NotReady, reason);

    public static ReadinessVerdict Failed(ReadOnlySpan<byte> reason) => new(ReadinessState.Failed, reason);

    public static ReadinessVerdict Completed(ReadOnlySpan<byte> reason = default) => new(ReadinessState.Completed, reason);

    public static ReadinessVerdict Unknown(ReadOnlySpan<byte> reason) => new(ReadinessState.Unknown, reason);
}

/// <summary>Derives the readiness of an object from its spec and status, once, when it arrives.</summary>
/// <remarks>
/// The rules of <c>kubectl rollout status</c> and <c>kubectl get</c>. Progressing is what resolves by itself when nothing goes
/// wrong; NotReady is what was there, or should be by now, and is not. An object that is being deleted is Progressing
/// with reason Terminating, whatever it was before.
/// </remarks>
internal static class ReadinessRules
{
    public static ReadinessVerdict For(KindProfile profile, in ScannedObject item)
    {
        if (item.IsTerminating && profile != KindProfile.Pod)
        {
            return ReadinessVerdict.Progressing("Terminating"u8);
        }

        return profile switch
        {
            KindProfile.Pod => Pod(item),
            KindProfile.Deployment => Deployment(item),
            KindProfile.ReplicaSet => ReplicaSet(item),
            KindProfile.StatefulSet => StatefulSet(item),
            KindProfile.DaemonSet => DaemonSet(item),
            KindProfile.Job => Job(item),
            KindProfile.Node => Node(item),
            KindProfile.PersistentVolumeClaim => Claim(item),
            KindProfile.Namespace => Namespace(item),
            KindProfile.Service => Service(item),
            KindProfile.CronJob => item.Facts.IsSuspended ? ReadinessVerdict.NotReady("Suspended"u8) : ReadinessVerdict.NotApplicable,
            _ => ByConditions(item),
        };
    }

    private static ReadinessVerdict Pod(in ScannedObject pod)
    {
        if (pod.Phase.SequenceEqual("Succeeded"u8))
        {
            return ReadinessVerdict.Completed();
        }

        if (pod.Phase.SequenceEqual("Failed"u8))
        {
            return ReadinessVerdict.Failed(FirstOf(pod.StatusReason, pod.TerminatedReason, "Failed"u8));
        }

        if (pod.IsTerminating)
        {
            return ReadinessVerdict.Progressing("Terminating"u8);
        }

        if (pod.Phase.SequenceEqual("Unknown"u8))
        {
            return ReadinessVerdict.Unknown(FirstOf(pod.StatusReason, "Unknown"u8));
        }

        ReadOnlySpan<byte> waiting = pod.WaitingReason;
        if (!waiting.IsEmpty && !IsNormalStart(waiting))
        {
            return ReadinessVerdict.NotReady(waiting);
        }

        if (pod.Phase.SequenceEqual("Running"u8))
        {
            if (!pod.TryGetCondition("Ready"u8, out ScannedCondition ready))
            {
                return ReadinessVerdict.Progressing("NoReadyCondition"u8);
            }

            return ready.IsTrue
                ? ReadinessVerdict.Ready
                : ReadinessVerdict.NotReady(FirstOf(pod.TerminatedReason, ready.Reason, "NotReady"u8));
        }

        if (pod.TryGetCondition("PodScheduled"u8, out ScannedCondition scheduled) && scheduled.IsFalse)
        {
            return ReadinessVerdict.NotReady(FirstOf(scheduled.Reason, "Unschedulable"u8));
        }

        return ReadinessVerdict.Progressing(FirstOf(waiting, "Pending"u8));
    }

    // Everything else that a container can wait for is an error, by the names that the kubelet gives.
    private static bool IsNormalStart(ReadOnlySpan<byte> waiting) =>
        waiting.SequenceEqual("ContainerCreating"u8) || waiting.SequenceEqual("PodInitializing"u8);

    private static ReadinessVerdict Deployment(in ScannedObject deployment)
    {
        ref readonly KindFacts facts = ref deployment.Facts;
        if (facts.ObservedGeneration < facts.Generation)
        {
            return ReadinessVerdict.Progressing("SpecNotObserved"u8);
        }

        bool known = deployment.TryGetCondition("Progressing"u8, out ScannedCondition progress);
        if (known && progress.Reason.SequenceEqual("ProgressDeadlineExceeded"u8))
        {
            return ReadinessVerdict.Failed("ProgressDeadlineExceeded"u8);
        }

        // Once the controller has called the rollout finished, missing replicas are no longer on their way: they got lost.
        bool finished = known && progress.Reason.SequenceEqual("NewReplicaSetAvailable"u8);
        int desired = Desired(facts);
        if (facts.UpdatedReplicas < desired)
        {
            return facts.IsPaused ? ReadinessVerdict.Progressing("Paused"u8)
                : deployment.TryGetCondition("ReplicaFailure"u8, out ScannedCondition failure) && failure.IsTrue
                    ? ReadinessVerdict.NotReady(FirstOf(failure.Reason, "ReplicaFailure"u8))
                    : ReadinessVerdict.Progressing("ReplicasUpdating"u8);
        }

        if (facts.Replicas > facts.UpdatedReplicas)
        {
            return ReadinessVerdict.Progressing("OldReplicasTerminating"u8);
        }

        if (facts.AvailableReplicas < facts.UpdatedReplicas)
        {
            return finished ? ReadinessVerdict.NotReady("ReplicasUnavailable"u8) : ReadinessVerdict.Progressing("ReplicasUnavailable"u8);
        }

        return ReadinessVerdict.Ready;
    }

    private static ReadinessVerdict ReplicaSet(in ScannedObject set)
    {
        ref readonly KindFacts facts = ref set.Facts;
        if (facts.ObservedGeneration < facts.Generation)
        {
            return ReadinessVerdict.Progressing("SpecNotObserved"u8);
        }

        int desired = Desired(facts);
        if (facts.AvailableReplicas >= desired)
        {
            return facts.Replicas > desired ? ReadinessVerdict.Progressing("ReplicasTerminating"u8) : ReadinessVerdict.Ready;
        }

        if (set.TryGetCondition("ReplicaFailure"u8, out ScannedCondition failure) && failure.IsTrue)
        {
            return ReadinessVerdict.NotReady(FirstOf(failure.Reason, "ReplicaFailure"u8));
        }

        return facts.Replicas < desired
            ? ReadinessVerdict.Progressing("ReplicasCreating"u8)
            : ReadinessVerdict.NotReady("ReplicasUnavailable"u8);
    }

    private static ReadinessVerdict StatefulSet(in ScannedObject set)
    {
        ref readonly KindFacts facts = ref set.Facts;
        if (facts.ObservedGeneration < facts.Generation)
        {
            return ReadinessVerdict.Progressing("SpecNotObserved"u8);
        }

        int desired = Desired(facts);
        if (facts.ReadyReplicas < desired)
        {
            // Pods come one after the other, so too few of them is a start; enough of them and not ready is a fault.
            return facts.Replicas < desired || (!facts.IsOnDelete && facts.Partition == 0 && !HasOneRevision(set))
                ? ReadinessVerdict.Progressing("ReplicasStarting"u8)
                : ReadinessVerdict.NotReady("ReplicasUnavailable"u8);
        }

        if (facts.Replicas > desired)
        {
            return ReadinessVerdict.Progressing("ReplicasTerminating"u8);
        }

        if (facts.IsOnDelete)
        {
            return ReadinessVerdict.Ready;   // whoever chose OnDelete decides when pods change
        }

        if (facts.Partition > 0)
        {
            return facts.UpdatedReplicas < desired - facts.Partition ? ReadinessVerdict.Progressing("ReplicasUpdating"u8) : ReadinessVerdict.Ready;
        }

        return HasOneRevision(set) ? ReadinessVerdict.Ready : ReadinessVerdict.Progressing("ReplicasUpdating"u8);
    }

    private static bool HasOneRevision(in ScannedObject set) => set.UpdateRevision.SequenceEqual(set.CurrentRevision);

    private static ReadinessVerdict DaemonSet(in ScannedObject set)
    {
        ref readonly KindFacts facts = ref set.Facts;
        if (facts.ObservedGeneration < facts.Generation)
        {
            return ReadinessVerdict.Progressing("SpecNotObserved"u8);
        }

        int desired = Math.Max(facts.DesiredReplicas, 0);
        if (!facts.IsOnDelete && facts.UpdatedReplicas < desired)
        {
            return ReadinessVerdict.Progressing("PodsUpdating"u8);
        }

        if (facts.AvailableReplicas >= desired)
        {
            return ReadinessVerdict.Ready;
        }

        return facts.Replicas < desired ? ReadinessVerdict.Progressing("PodsScheduling"u8) : ReadinessVerdict.NotReady("PodsUnavailable"u8);
    }

    private static ReadinessVerdict Job(in ScannedObject job)
    {
        if (job.TryGetCondition("Complete"u8, out ScannedCondition complete) && complete.IsTrue)
        {
            return ReadinessVerdict.Completed();
        }

        if (job.TryGetCondition("Failed"u8, out ScannedCondition failed) && failed.IsTrue)
        {
            return ReadinessVerdict.Failed(FirstOf(failed.Reason, "Failed"u8));
        }

        if (job.Facts.IsSuspended)
        {
            return ReadinessVerdict.NotReady("Suspended"u8);
        }

        return ReadinessVerdict.Progressing(job.Facts.Active > 0 ? "Running"u8 : "Pending"u8);
    }

    private static ReadinessVerdict Node(in ScannedObject node)
    {
        if (!node.TryGetCondition("Ready"u8, out ScannedCondition ready))
        {
            return ReadinessVerdict.Unknown("NoReadyCondition"u8);
        }

        return ready.IsTrue ? ReadinessVerdict.Ready
            : ready.IsFalse ? ReadinessVerdict.NotReady(FirstOf(ready.Reason, "NotReady"u8))
            : ReadinessVerdict.NotReady(FirstOf(ready.Reason, "NodeStatusUnknown"u8));
    }

    private static ReadinessVerdict Claim(in ScannedObject claim)
    {
        if (claim.Phase.SequenceEqual("Bound"u8))
        {
            return ReadinessVerdict.Ready;
        }

        return claim.Phase.SequenceEqual("Lost"u8)
            ? ReadinessVerdict.Failed("Lost"u8)
            : ReadinessVerdict.Progressing(FirstOf(claim.Phase, "Pending"u8));
    }

    private static ReadinessVerdict Namespace(in ScannedObject ns) => ns.Phase.SequenceEqual("Active"u8)
        ? ReadinessVerdict.Ready
        : ReadinessVerdict.Progressing(FirstOf(ns.Phase, "Pending"u8));

    private static ReadinessVerdict Service(in ScannedObject service)
    {
        if (!service.Facts.IsLoadBalancer)
        {
            return ReadinessVerdict.NotApplicable;
        }

        return service.Facts.HasIngress ? ReadinessVerdict.Ready : ReadinessVerdict.Progressing("LoadBalancerPending"u8);
    }

    /// <summary>Custom kinds: the condition Ready, or else Available, says it.</summary>
    private static ReadinessVerdict ByConditions(in ScannedObject item)
    {
        if (!item.TryGetCondition("Ready"u8, out ScannedCondition condition)
            && !item.TryGetCondition("Available"u8, out condition)
            && !item.TryGetCondition("Established"u8, out condition))   // CustomResourceDefinitions themselves
        {
            return ReadinessVerdict.NotApplicable;
        }

        if (item.Facts.ObservedGeneration >= 0 && item.Facts.ObservedGeneration < item.Facts.Generation)
        {
            return ReadinessVerdict.Progressing("SpecNotObserved"u8);
        }

        if (condition.IsTrue)
        {
            return ReadinessVerdict.Ready;
        }

        return condition.IsFalse
            ? ReadinessVerdict.NotReady(FirstOf(condition.Reason, "NotReady"u8))
            : ReadinessVerdict.Progressing(FirstOf(condition.Reason, "Unknown"u8));
    }

    // An absent spec.replicas means 1, and the API server writes it in; a status that comes first means the same.
    private static int Desired(in KindFacts facts) => facts.DesiredReplicas == KindFacts.Absent ? 1 : facts.DesiredReplicas;

    private static ReadOnlySpan<byte> FirstOf(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b) => a.IsEmpty ? b : a;

    private static ReadOnlySpan<byte> FirstOf(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c) => a.IsEmpty ? FirstOf(b, c) : a;
}
