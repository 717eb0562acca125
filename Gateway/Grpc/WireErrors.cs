using System.Collections.Immutable;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using MultiCluster.Clusters;
using MultiCluster.Gateway.Clusters;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;
using Status = Grpc.Core.Status;

namespace MultiCluster.Gateway.Grpc;

/// <summary>Errors as gRPC statuses, with the fields at fault in <c>grpc-status-details-bin</c>. An unknown exception says nothing of itself.</summary>
internal static class WireErrors
{
    // A status travels in a header; proxies commonly cut those at 8 KB, base64 included.
    private const int MaxViolations = 16;

    public static RpcException? Of(Exception error) => error switch
    {
        InvalidQueryException invalid => Invalid(
            StatusCode.InvalidArgument, invalid.Message, invalid.Faults.Select(f => (f.Field, f.Message))),
        ClusterRefusedException refused => Invalid(
            CodeOf(refused.Reason), refused.Message, refused.Faults.Select(f => (f.Field ?? "", f.Message))),
        IncompleteReadException incomplete => new RpcException(new Status(StatusCode.Unavailable, incomplete.Message)),
        ExpiredReadException expired => new RpcException(new Status(StatusCode.OutOfRange, expired.Message)),
        TooManyWatchesException tooMany => Later(tooMany),
        FleetUnavailableException unavailable => new RpcException(new Status(StatusCode.Unavailable, unavailable.Message)),
        CommandUnconfirmedException unconfirmed => new RpcException(new Status(StatusCode.Unavailable, unconfirmed.Message)),
        TimeoutException => new RpcException(new Status(StatusCode.DeadlineExceeded, "No answer within the deadline. Try again.")),
        _ => null,
    };

    public static RpcException NotCovered(ImmutableArray<ClusterCoverage> coverage)
    {
        string unsure = string.Join(", ", coverage.Where(c => c.State is not (CoverageState.Ok or CoverageState.NotServed)).Take(5).Select(c => $"{c.Cluster} ({c.State})"));
        return new RpcException(new global::Grpc.Core.Status(
            StatusCode.NotFound, unsure.Length == 0 ? "No selected cluster has this object." : $"No covered cluster has this object; not sure: {unsure}."));
    }

    public static RpcException WatchEnded(FleetWatchBatch last) => new(new global::Grpc.Core.Status(
        last.End == FleetWatchEnd.Expired ? StatusCode.OutOfRange : StatusCode.ResourceExhausted,
        last.EndMessage ?? "The watch has ended; list again."));

    private static StatusCode CodeOf(RefusalReason reason) => reason switch
    {
        RefusalReason.Invalid => StatusCode.InvalidArgument,
        RefusalReason.NotFound => StatusCode.NotFound,
        RefusalReason.AlreadyExists => StatusCode.AlreadyExists,
        RefusalReason.Conflict => StatusCode.Aborted,
        _ => StatusCode.FailedPrecondition,
    };

    private static RpcException Later(TooManyWatchesException tooMany) => new Google.Rpc.Status
    {
        Code = (int)StatusCode.ResourceExhausted,
        Message = tooMany.Message,
        Details = { Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(tooMany.RetryAfter) }) },
    }.ToRpcException();

    private static RpcException Invalid(StatusCode code, string message, IEnumerable<(string Field, string Message)> faults)
    {
        var violations = new BadRequest();
        violations.FieldViolations.Add(faults.Take(MaxViolations).Select(f => new BadRequest.Types.FieldViolation { Field = f.Field, Description = f.Message }));
        return new Google.Rpc.Status { Code = (int)code, Message = message, Details = { Any.Pack(violations) } }.ToRpcException();
    }
}
